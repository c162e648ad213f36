package dev.edgepipeline.app

import android.graphics.PointF
import dev.edgepipeline.app.state.Answer
import dev.edgepipeline.app.state.Bench
import dev.edgepipeline.app.state.Check
import dev.edgepipeline.app.state.Mode
import dev.edgepipeline.app.state.Stroke
import dev.edgepipeline.core.BenchPlan
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import kotlin.math.cos
import kotlin.math.sin
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** Every screen with what it shows after use, kept in target/screenshots. */
@RunWith(RobolectricTestRunner::class)
class ScreenshotTest {
    @Test
    @Config(qualifiers = "w411dp-h891dp-port-notnight-xhdpi")
    fun phoneLight() = shoot("phone-light")

    @Test
    @Config(qualifiers = "w411dp-h891dp-port-night-xhdpi")
    fun phoneDark() = shoot("phone-dark")

    @Test
    @Config(qualifiers = "w1280dp-h800dp-land-notnight-mdpi")
    fun tabletLight() = shoot("tablet-light")

    @Test
    @Config(qualifiers = "w1280dp-h800dp-land-night-mdpi")
    fun tabletDark() = shoot("tablet-dark")

    @Test
    @Config(qualifiers = "w891dp-h411dp-land-notnight-xhdpi")
    fun phoneOnItsSide() = shoot("phone-side")

    private fun shoot(device: String) {
        val phone = Phone()
        phone.awaitBundle()
        phone.app.tries.take(Mode.SAMPLES)
        phone.app.tries.askSample(0)
        phone.await("an answer") { phone.app.tries.answer.value is Answer.Given }
        phone.app.check.start()
        phone.await("a self-check") { phone.app.check.live.value is Check.Done }
        phone.app.bench.start(BenchPlan(seconds = 0.2))
        phone.await("a benchmark") { phone.app.bench.live.value is Bench.Done }
        for ((tab, name) in listOf("models", "samples", "check", "bench", "about").withIndex()) {
            phone.activity.show(tab)
            keep(phone, "$device-$name")
        }
        phone.activity.show(1)
        phone.app.tries.take(Mode.DRAW)
        phone.app.tries.draw(listOf(three()))
        phone.await("an answer") { phone.app.tries.answer.value is Answer.Given }
        assertEquals("3", (phone.app.tries.answer.value as Answer.Given).scores.first().label)
        keep(phone, "$device-try")
    }

    private fun keep(phone: Phone, name: String) {
        val picture = phone.picture(name)
        val ground = phone.activity.getColor(R.color.ground)
        val pixels = IntArray(picture.width * picture.height)
        picture.getPixels(pixels, 0, picture.width, 0, 0, picture.width, picture.height)
        assertTrue(pixels.count { it == ground } > pixels.size / 20, "$name has not its ground")
        assertTrue(pixels.distinct().size > 50, "$name shows nothing")
    }

    /** A 3 as a finger writes it: two arcs that meet. */
    private fun three(): Stroke {
        fun arc(y: Float, radius: Float, from: Int, to: Int) = (from..to step 6).map { degrees ->
            val angle = Math.toRadians(degrees.toDouble())
            PointF(0.48f + 1.05f * radius * cos(angle).toFloat(), y + radius * sin(angle).toFloat())
        }
        return arc(0.31f, 0.2f, -160, 80) + arc(0.69f, 0.21f, -80, 160)
    }
}
