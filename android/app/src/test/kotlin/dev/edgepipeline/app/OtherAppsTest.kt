package dev.edgepipeline.app

import android.app.Activity
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Color
import android.net.Uri
import android.provider.OpenableColumns
import dev.edgepipeline.app.state.Answer
import dev.edgepipeline.app.state.Bench
import dev.edgepipeline.app.state.Mode
import dev.edgepipeline.core.BenchPlan
import dev.edgepipeline.core.Tensor
import org.json.JSONObject
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.io.File
import java.io.FileNotFoundException
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import android.os.Bundle as Extras

/** What the app gets from other apps, and what it hands to them. */
@RunWith(RobolectricTestRunner::class)
@Config(qualifiers = "w411dp-h891dp-port-notnight-xhdpi", sdk = [26, 30, 35])
class OtherAppsTest {
    @Test
    fun `a picture from the picker is answered as the same pixels of a sample are`() {
        val phone = Phone().apply { awaitBundle() }
        val bundle = phone.app.choice.value!!.bundle
        phone.tap("Try")
        phone.tap("Samples")
        phone.app.tries.askSample(1)
        val asSample = answer(phone)
        phone.tap("Picture")
        pick(phone, png(bundle.tensor(bundle.manifest.golden[1].inputs[0])))
        val asPicture = answer(phone)
        assertEquals(asSample.scores.map { it.label to it.value }, asPicture.scores.map { it.label to it.value })
        assertTrue(phone.views().any { it.contentDescription == "The picture you picked" && it.isShown })
    }

    @Test
    fun `what is no picture is said to be none`() {
        val phone = Phone().apply { awaitBundle() }
        phone.tap("Try")
        phone.tap("Picture")
        pick(phone, Uri.fromFile(File.createTempFile("none", ".png").apply { writeText("no picture") }))
        phone.await("a refusal") { phone.app.tries.answer.value is Answer.Failed }
        assertTrue("The picture could not be read." in phone.texts(), "${phone.texts()}")
    }

    private fun answer(phone: Phone): Answer.Given {
        phone.await("an answer") { phone.app.tries.answer.value is Answer.Given }
        return phone.app.tries.answer.value as Answer.Given
    }

    private fun png(tensor: Tensor): Uri {
        val (_, height, width, _) = tensor.shape.map { it.toInt() }
        val grey = tensor.numbers().map { it.toInt() }
        val bitmap = Bitmap.createBitmap(
            IntArray(grey.size) {
                Color.rgb(grey[it], grey[it], grey[it])
            },
            width, height, Bitmap.Config.ARGB_8888,
        )
        val file = File.createTempFile("picked", ".png")
        file.outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
        return Uri.fromFile(file)
    }

    private fun pick(phone: Phone, uri: Uri) {
        phone.tap("Pick a picture")
        val asked = shadowOf(phone.activity).nextStartedActivityForResult
        assertEquals(Intent.ACTION_OPEN_DOCUMENT, asked.intent.action)
        assertEquals("image/*", asked.intent.type)
        shadowOf(phone.activity).receiveResult(asked.intent, Activity.RESULT_OK, Intent().setData(uri))
    }

    @Test
    fun `a benchmark is handed to another app as a file`() {
        val phone = Phone().apply { awaitBundle() }
        phone.tap("Benchmark")
        phone.app.bench.start(BenchPlan(seconds = 0.2))
        phone.await("a benchmark") { phone.app.bench.live.value is Bench.Done }
        phone.tap("Share as JSON")
        val chooser = shadowOf(phone.activity).nextStartedActivity
        assertEquals(Intent.ACTION_CHOOSER, chooser.action)
        @Suppress("DEPRECATION")
        val sent = assertNotNull(chooser.getParcelableExtra<Intent>(Intent.EXTRA_INTENT))
        assertEquals(Intent.ACTION_SEND, sent.action)
        assertEquals("application/json", sent.type)
        assertTrue(sent.flags and Intent.FLAG_GRANT_READ_URI_PERMISSION != 0)
        @Suppress("DEPRECATION")
        val uri = assertNotNull(sent.getParcelableExtra<Uri>(Intent.EXTRA_STREAM))

        val resolver = phone.activity.contentResolver
        val text = assertNotNull(resolver.openInputStream(uri)).use { it.reader().readText() }
        val json = JSONObject(text)
        val done = phone.app.bench.live.value as Bench.Done
        assertEquals(done.choice.artifact.sha256, json.getString("sha256"))
        assertEquals(done.result.latenciesMs.size, json.getJSONArray("latencies_ms").length())
        assertTrue(json.getDouble("p50_ms") <= json.getDouble("p99_ms"))
        assertEquals(thisDevice(phone.activity).apiLevel, json.getJSONObject("device").getInt("api_level"))
        assertNotNull(resolver.query(uri, null, null, null, null)).use { row ->
            assertTrue(row.moveToFirst())
            assertEquals("digits-benchmark.json", row.getString(row.getColumnIndexOrThrow(OpenableColumns.DISPLAY_NAME)))
            assertEquals(text.length, row.getInt(row.getColumnIndexOrThrow(OpenableColumns.SIZE)))
        }
        val other = uri.buildUpon().path("/../../shared_prefs/settings.xml").build()
        assertFailsWith<FileNotFoundException> { resolver.openInputStream(other) }
    }

    @Test
    fun `an instrumentation answers in pieces that are small enough`() {
        val said = Saying()
        said.onCreate(Extras().apply { putString("command", "benchmark") })
        said.onStart()
        assertEquals("ok", said.result.getString("status"), said.result.getString("message"))
        assertEquals(said.result.getString("result.count")?.toInt(), said.pieces.size)
        assertTrue(said.pieces.size > 1 && said.pieces.all { it.length <= 16_000 })
        val results = JSONObject(said.pieces.joinToString("")).getJSONArray("results")
        assertEquals("cpu", results.getJSONObject(0).getString("engine"))

        val wrong = Saying()
        wrong.onCreate(Extras().apply { putString("command", "dance") })
        wrong.onStart()
        assertEquals("error", wrong.result.getString("status"))
        assertEquals("command is dance; selfcheck or benchmark", wrong.result.getString("message"))
    }

    /** Keeps what would go to `am`. */
    private class Saying : CommandInstrumentation() {
        val pieces = ArrayList<String>()
        lateinit var result: Extras

        override fun start() = Unit

        override fun getTargetContext() = RuntimeEnvironment.getApplication()

        override fun sendStatus(code: Int, results: Extras) {
            pieces += assertNotNull(results.getString("result.${pieces.size}"))
        }

        override fun finish(code: Int, results: Extras) {
            result = results
        }
    }
}
