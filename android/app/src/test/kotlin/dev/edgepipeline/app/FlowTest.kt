package dev.edgepipeline.app

import android.app.Activity
import android.content.Context
import android.content.Intent
import android.net.Uri
import android.view.MotionEvent
import android.view.View
import dev.edgepipeline.app.state.Answer
import dev.edgepipeline.app.state.Check
import dev.edgepipeline.app.state.EngineSlot
import dev.edgepipeline.app.state.Importing
import dev.edgepipeline.app.state.Mode
import dev.edgepipeline.app.ui.DrawView
import dev.edgepipeline.app.ui.dp
import dev.edgepipeline.core.Verdict
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.io.File
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import android.os.Bundle as Extras

/** What a user does, with real inference on the digits bundle. */
@RunWith(RobolectricTestRunner::class)
@Config(qualifiers = "w411dp-h891dp-port-notnight-xhdpi", sdk = [26, 30, 35])
class FlowTest {
    @Test
    fun `digits of the real data, drawn with a finger, are read`() {
        val phone = Phone().apply { awaitBundle() }
        phone.tap("Try")
        phone.app.tries.take(Mode.DRAW)
        val golden = phone.app.choice.value!!.bundle.manifest.golden.filter { it.inputs[0].shape[1] == 8L }
        val read = golden.count { sample ->
            val pixels = phone.app.choice.value!!.bundle.tensor(sample.inputs[0]).numbers()
            phone.tap("Clear")
            phone.await("a clean slate") { phone.app.tries.answer.value is Answer.None }
            draw(phone.views().filterIsInstance<DrawView>().single(), pixels)
            // Each stroke is asked about; the last answer counts.
            phone.await("an answer") { phone.app.tries.answer.value is Answer.Given && !phone.app.tries.isBusy }
            (phone.app.tries.answer.value as Answer.Given).scores.first().label == sample.label.toString()
        }
        assertTrue(read >= golden.size - 2, "$read of ${golden.size} drawn digits were read")
        phone.picture("phone-light-draw")
    }

    // Along each row's bright pixels, as an engraver would.
    private fun draw(slate: View, pixels: DoubleArray) {
        val cell = slate.width / 8f
        for (y in 0 until 8) {
            for (x in 0 until 8) {
                if (pixels[y * 8 + x] < 140) continue
                touch(slate, MotionEvent.ACTION_DOWN, (x + 0.4f) * cell, (y + 0.5f) * cell)
                touch(slate, MotionEvent.ACTION_MOVE, (x + 0.6f) * cell, (y + 0.5f) * cell)
                touch(slate, MotionEvent.ACTION_UP, (x + 0.6f) * cell, (y + 0.5f) * cell)
            }
        }
    }

    private fun touch(view: View, action: Int, x: Float, y: Float) {
        val event = MotionEvent.obtain(0, 0, action, x, y, 0)
        view.dispatchTouchEvent(event)
        event.recycle()
    }

    @Test
    fun `a self-check passes, and its perturbed sample fails`() {
        val phone = Phone().apply { awaitBundle() }
        phone.tap("Self-check")
        phone.tap("Run self-check")
        phone.await("a verdict") { phone.app.check.live.value is Check.Done }
        val found = (phone.app.check.live.value as Check.Done).result
        assertEquals(Verdict.PASS, found.verdict)
        assertTrue(checkNotNull(found.perturbed).failed)
        assertTrue("Pass" in phone.texts(), "${phone.texts()}")
        phone.tap("Models")
        assertTrue("Check passed" in phone.texts())
    }

    @Test
    fun `a good bundle is imported, a bad one is refused with its code`() {
        val phone = Phone().apply { awaitBundle() }
        pick(phone, zip(phone.activity) { _, bytes -> bytes })
        phone.await("two bundles") { phone.app.bundles.value.count { it.bundle != null } == 2 }
        pick(
            phone,
            zip(phone.activity) { name, bytes ->
                if (name.endsWith("fp32.onnx")) bytes.copyOf().also { it[3000] = (it[3000] + 1).toByte() } else bytes
            },
        )
        phone.await("a refusal") { phone.app.importing.value is Importing.Failed }
        assertTrue("wrong-hash" in phone.texts(), "${phone.texts()}")
        assertEquals(2, phone.app.bundles.value.size)
    }

    private fun zip(context: Context, change: (String, ByteArray) -> ByteArray): Uri {
        val folder = File(checkNotNull(System.getProperty("digits.bundle")))
        val file = File.createTempFile("picked", ".zip", context.cacheDir)
        ZipOutputStream(file.outputStream()).use { out ->
            for (from in folder.walk().filter { it.isFile }) {
                val name = "digits.bundle/" + from.relativeTo(folder).path
                out.putNextEntry(ZipEntry(name))
                out.write(change(name, from.readBytes()))
            }
        }
        return Uri.fromFile(file)
    }

    private fun pick(phone: Phone, uri: Uri) {
        phone.tap("Import a bundle")
        val asked = shadowOf(phone.activity).nextStartedActivityForResult
        assertEquals(Intent.ACTION_OPEN_DOCUMENT, asked.intent.action)
        shadowOf(phone.activity).receiveResult(asked.intent, Activity.RESULT_OK, Intent().setData(uri))
    }

    @Test
    fun `an engine that took the process with it is not started again`() {
        val context = RuntimeEnvironment.getApplication()
        context.getSharedPreferences("guard", Context.MODE_PRIVATE).edit().putString("starting", "nnapi").commit()
        Settings(context).engineId = "nnapi"
        val phone = Phone().apply { awaitBundle() }
        assertEquals("cpu", phone.app.choice.value!!.kind.id)
        assertTrue(phone.texts().any { "nnapi" in it && "CPU" in it }, "${phone.texts()}")
        phone.tap("Dismiss")
        assertTrue(phone.texts().none { "nnapi" in it })
    }

    @Test
    fun `no model is run on the main thread`() {
        val phone = Phone().apply { awaitBundle() }
        val slot = EngineSlot(CrashGuard(phone.activity))
        val choice = checkNotNull(phone.app.choice.value)
        assertFailsWith<IllegalStateException> { slot.use(choice) { error("it was opened") } }
            .also { assertEquals("a model on the main thread", it.message) }
        assertFailsWith<IllegalStateException> { slot.alone(choice) { error("it was asked") } }
            .also { assertEquals("a model on the main thread", it.message) }
    }

    @Test
    fun `every screen opens, and what can be tapped says what it is`() {
        val phone = Phone().apply { awaitBundle() }
        for (tab in 0..4) {
            phone.activity.show(tab)
            phone.await("a layout") { !phone.root.isLayoutRequested }
            for (view in phone.views().filter { it.isClickable && it.isShown }) {
                val words = view.contentDescription ?: (view as? android.widget.TextView)?.text
                assertTrue(!words.isNullOrBlank(), "$view on screen $tab has no words")
                val small = minOf(view.width, view.height) / view.dp(1)
                assertTrue(small >= 48, "'$words' on screen $tab is $small dp small")
            }
        }
    }

    @Test
    fun `a command answers as JSON, and says what is wrong with one`() {
        val extras = Extras().apply {
            putString("command", "selfcheck")
            putString("artifact", "onnx-fp32")
        }
        val context = RuntimeEnvironment.getApplication()
        val json = runCommand(context, readCommand(extras::getString))
        assertTrue("\"verdict\":\"pass\"" in json && "\"artifact\":\"onnx-fp32\"" in json, json)
        extras.putString("artifact", "none")
        val message = runCatching { runCommand(context, readCommand(extras::getString)) }.exceptionOrNull()?.message.orEmpty()
        assertTrue("onnx-fp32" in message, message)
    }
}
