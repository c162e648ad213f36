package dev.edgepipeline.app

import dev.edgepipeline.app.state.Answer
import dev.edgepipeline.app.state.Bench
import dev.edgepipeline.app.state.Check
import dev.edgepipeline.app.state.Mode
import dev.edgepipeline.core.BenchPlan
import kotlin.test.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config

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
        for ((tab, name) in listOf("models", "try", "check", "bench", "about").withIndex()) {
            phone.activity.show(tab)
            val picture = phone.picture("$device-$name")
            val ground = phone.activity.getColor(R.color.ground)
            val pixels = IntArray(picture.width * picture.height)
            picture.getPixels(pixels, 0, picture.width, 0, 0, picture.width, picture.height)
            assertTrue(pixels.count { it == ground } > pixels.size / 20, "$device-$name has not its ground")
            assertTrue(pixels.distinct().size > 50, "$device-$name shows nothing")
        }
    }
}
