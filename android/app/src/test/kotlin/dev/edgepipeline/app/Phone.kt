package dev.edgepipeline.app

import android.graphics.Bitmap
import android.graphics.Canvas
import android.os.Looper
import android.view.View
import android.view.ViewGroup
import android.widget.TextView
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import java.io.File

/** The app started as a user would, and what a user can see and do. */
class Phone {
    val controller: ActivityController<MainActivity> = Robolectric.buildActivity(MainActivity::class.java).setup()
    val activity: MainActivity get() = controller.get()
    val app get() = activity.app
    val root: View get() = activity.window.decorView

    /** Lets the worker and the main thread go on until something is true. */
    fun await(what: String, isTrue: () -> Boolean) {
        val end = System.nanoTime() + 20_000_000_000
        while (!isTrue()) {
            check(System.nanoTime() < end) { "$what did not happen; on the screen: ${texts()}" }
            app.broken.value?.let { error(it) }
            shadowOf(Looper.getMainLooper()).idle()
            Thread.sleep(2)
        }
        shadowOf(Looper.getMainLooper()).idle()
    }

    fun awaitBundle() = await("a checked bundle") { app.choice.value != null && app.tries.drawing.value != null }

    fun texts(): List<String> = views().filterIsInstance<TextView>().filter { it.isShown }.map { it.text.toString() }

    fun tap(words: String) = (views().first { it.isClickable && says(it, words) }).also { check(it.performClick()) }

    private fun says(view: View, words: String) =
        view.contentDescription?.toString() == words || (view as? TextView)?.text?.toString() == words

    fun views(of: View = root): List<View> =
        listOf(of) + if (of is ViewGroup) (0 until of.childCount).flatMap { views(of.getChildAt(it)) } else emptyList()

    fun picture(name: String): Bitmap {
        shadowOf(Looper.getMainLooper()).idle()
        val bitmap = Bitmap.createBitmap(root.width, root.height, Bitmap.Config.ARGB_8888)
        root.draw(Canvas(bitmap))
        val file = File(System.getProperty("screenshots") ?: "target/screenshots", "$name.png")
        file.parentFile?.mkdirs()
        file.outputStream().use { bitmap.compress(Bitmap.CompressFormat.PNG, 100, it) }
        return bitmap
    }
}
