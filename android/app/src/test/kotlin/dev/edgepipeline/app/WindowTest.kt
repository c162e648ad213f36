package dev.edgepipeline.app

import android.graphics.Rect
import android.view.View
import android.view.WindowInsets
import android.widget.ScrollView
import android.widget.TextView
import dev.edgepipeline.app.state.Bench
import dev.edgepipeline.app.ui.Navigation
import dev.edgepipeline.app.ui.dp
import dev.edgepipeline.core.BenchPlan
import dev.edgepipeline.core.EngineKind
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertTrue

private const val PHONE = "w411dp-h891dp-port-notnight-xhdpi"
private const val TABLET = "w1280dp-h800dp-land-notnight-mdpi"

/** The window around the screens: bars, turning, direction of reading, large text. */
@RunWith(RobolectricTestRunner::class)
@Config(qualifiers = PHONE)
class WindowTest {
    @Test
    @Config(sdk = [26, 30, 35])
    fun `nothing to tap lies behind the bars of the system, and the page goes on behind them`() {
        val phone = Phone().apply { awaitBundle() }
        withBars(phone, Rect(0, 120, 0, 96))
        val navigation = phone.views().filterIsInstance<Navigation>().single()
        val page = phone.views().filterIsInstance<ScrollView>().single()
        assertEquals(96, navigation.paddingBottom)
        assertEquals(120 + page.dp(20), page.paddingTop)
        assertEquals(0, placeOf(page).top)
        assertEquals(phone.root.height, placeOf(navigation).bottom)
        for (tab in 0..4) {
            phone.activity.show(tab)
            phone.await("a layout") { !phone.root.isLayoutRequested }
            for (view in navigation.let(phone::views).filter { it.isClickable }) {
                assertTrue(placeOf(view).bottom <= phone.root.height - 96)
            }
            val first = phone.views(page).filterIsInstance<TextView>().first()
            assertTrue(placeOf(first).top >= 120, "the title of screen $tab lies behind the status bar")
        }
    }

    @Test
    @Config(qualifiers = TABLET, sdk = [35])
    fun `a wide window keeps clear of bars and cut-outs at its sides`() {
        val tablet = Phone().apply { awaitBundle() }
        withBars(tablet, Rect(40, 24, 30, 48))
        val navigation = tablet.views().filterIsInstance<Navigation>().single()
        for (view in tablet.views(navigation).filter { it.isClickable }) assertTrue(placeOf(view).left >= 40)
        for (view in tablet.views().filter { it.isClickable && it.isShown }) {
            assertTrue(placeOf(view).right <= tablet.root.width - 30, "$view")
        }
    }

    private fun withBars(phone: Phone, bars: Rect) {
        phone.root.dispatchApplyWindowInsets(WindowInsets(bars))
        phone.await("a layout") { !phone.root.isLayoutRequested }
    }

    private fun placeOf(view: View): Rect {
        val at = IntArray(2).also(view::getLocationInWindow)
        return Rect(at[0], at[1], at[0] + view.width, at[1] + view.height)
    }

    @Test
    @Config(sdk = [26, 30, 35])
    fun `a rotation in mid-run loses nothing`() {
        val phone = Phone().apply { awaitBundle() }
        phone.tap("Benchmark")
        phone.app.bench.start(BenchPlan(seconds = 600.0)) // longer than this test will ever wait
        fun share() = assertIs<Bench.Running>(phone.app.bench.live.value).share
        phone.await("the middle of it") { share() > 0 }
        val before = phone.activity
        RuntimeEnvironment.setQualifiers("+w891dp-h411dp-land")
        phone.controller.recreate()
        assertTrue(phone.activity !== before)
        val then = share()
        assertTrue(phone.texts().any { it.startsWith("Measuring, ") }, "${phone.texts()}")
        phone.await("that it goes on") { share() > then }
        phone.tap("Stop")
        phone.await("its end") { phone.app.bench.live.value is Bench.Idle }
        assertTrue("Measure" in phone.texts(), "${phone.texts()}")
    }

    @Test
    @Config(qualifiers = "ar-ldrtl-$PHONE", sdk = [26, 35])
    fun `where one reads from the right everything is mirrored`() {
        val phone = Phone().apply { awaitBundle() }
        assertEquals(View.LAYOUT_DIRECTION_RTL, phone.root.layoutDirection)
        fun left(words: String) = placeOf(phone.views().first { it.isClickable && it.contentDescription == words }).left
        assertTrue(left("Models") > left("Try") && left("Try") > left("About"))
        phone.tap("About")
        phone.await("a layout") { !phone.root.isLayoutRequested }
        fun text(words: String) = phone.views().filterIsInstance<TextView>().first { it.text == words }
        assertTrue(placeOf(text("ABI")).left > phone.root.width / 2, "the name of a fact is not at the right")
        phone.picture("phone-rtl-about")
    }

    @Test
    @Config(qualifiers = "ar-ldrtl-$TABLET", sdk = [35])
    fun `the first column is at the right there`() {
        val tablet = Phone().apply { awaitBundle() }
        tablet.tap("Self-check")
        tablet.await("a layout") { !tablet.root.isLayoutRequested }
        val navigation = tablet.views().filterIsInstance<Navigation>().single()
        assertEquals(tablet.root.width, placeOf(navigation).right)
        val run = tablet.views().first { it.isClickable && (it as? TextView)?.text == "Run self-check" }
        assertTrue(placeOf(run).left > tablet.root.width / 2 - placeOf(navigation).width())
        tablet.picture("tablet-rtl-check")
    }

    @Test
    fun `text twice as large is not cut off`() {
        RuntimeEnvironment.setFontScale(2f)
        assertWhole(Phone().apply { awaitBundle() }, "phone-large")
    }

    @Test
    @Config(qualifiers = "w320dp-h480dp-port-notnight-mdpi")
    fun `on the smallest screen nothing is cut off`() = assertWhole(Phone().apply { awaitBundle() }, "phone-small")

    @Test
    @Config(qualifiers = "w360dp-h640dp-port-notnight-xhdpi")
    fun `all engines that a phone may have can be chosen`() {
        val phone = Phone().apply { awaitBundle() }
        val cpu = phone.app.engines.value.single()
        val others = listOf("xnnpack", "nnapi", "pytorch").map { Named(it, cpu) }
        phone.app.engines.value = listOf(cpu) + others
        phone.app.takeEngine(others[1])
        phone.activity.show(3)
        assertTrue(phone.texts().any { it.startsWith("Experimental: ") }, "${phone.texts()}")
        assertWhole(phone, "phone-engines")
    }

    /** An engine of another name, which is not opened here. */
    private class Named(override val id: String, cpu: EngineKind) : EngineKind by cpu

    /** Every text stands there whole, its words unbroken; what it looks like is kept. */
    private fun assertWhole(phone: Phone, name: String) {
        for (tab in 0..4) {
            phone.activity.show(tab)
            phone.await("a layout") { !phone.root.isLayoutRequested }
            phone.picture("$name-$tab")
            for (view in phone.views().filterIsInstance<TextView>().filter { it.isShown && it.text.isNotEmpty() }) {
                val lines = checkNotNull(view.layout)
                val needed = lines.height + view.compoundPaddingTop + view.compoundPaddingBottom
                assertTrue(needed <= view.height, "'${view.text}' on screen $tab is cut off")
                val ends = (0 until lines.lineCount - 1).map { view.text[lines.getLineEnd(it) - 1] }
                assertTrue(ends.all { it in " \n\u200b" }, "a word of '${view.text}' on screen $tab is broken")
            }
        }
    }
}
