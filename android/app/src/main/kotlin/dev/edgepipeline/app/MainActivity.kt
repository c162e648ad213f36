package dev.edgepipeline.app

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.ClipData
import android.content.Intent
import android.graphics.Insets
import android.os.Build
import android.os.Bundle
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.view.WindowInsets
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.Toast
import dev.edgepipeline.app.screens.AboutScreen
import dev.edgepipeline.app.screens.BenchScreen
import dev.edgepipeline.app.screens.CheckScreen
import dev.edgepipeline.app.screens.ModelsScreen
import dev.edgepipeline.app.screens.Screen
import dev.edgepipeline.app.screens.TryScreen
import dev.edgepipeline.app.state.AppState
import dev.edgepipeline.app.ui.Columns
import dev.edgepipeline.app.ui.Navigation
import dev.edgepipeline.app.ui.Tab
import dev.edgepipeline.app.ui.column
import dev.edgepipeline.app.ui.dp
import dev.edgepipeline.app.ui.heading
import dev.edgepipeline.app.ui.label
import dev.edgepipeline.app.ui.put

/** The frame around the five screens: navigation, insets, and what other apps are asked for. */
class MainActivity : Activity() {
    val app: AppState get() = appState

    private lateinit var page: ScrollView
    private lateinit var navigation: Navigation
    private var screen: Screen? = null
    private var tab = 0

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        page = ScrollView(this).apply {
            clipToPadding = false
            scrollBarStyle = View.SCROLLBARS_OUTSIDE_OVERLAY // at the edge, not over the cards
            isFillViewport = true
        }
        // Wide enough for a rail and two columns, whatever kind of device it is.
        val isWide = resources.configuration.screenWidthDp >= 600
        navigation = Navigation(this, TABS, isWide, ::show)
        setContentView(frame(isWide))
        show(savedInstanceState?.getInt(TAB) ?: 0)
        savedInstanceState?.getInt(SCROLL)?.let { y -> page.post { page.scrollTo(0, y) } }
    }

    private fun frame(isWide: Boolean): View = LinearLayout(this).apply {
        orientation = if (isWide) LinearLayout.HORIZONTAL else LinearLayout.VERTICAL
        if (isWide) {
            addView(navigation, LinearLayout.LayoutParams(WRAP_CONTENT, MATCH_PARENT))
            addView(page, LinearLayout.LayoutParams(0, MATCH_PARENT, 1f))
        } else {
            addView(page, LinearLayout.LayoutParams(MATCH_PARENT, 0, 1f))
            addView(navigation, LinearLayout.LayoutParams(MATCH_PARENT, WRAP_CONTENT))
        }
        drawBehindBars()
        setOnApplyWindowInsetsListener { _, insets ->
            fit(isWide, barsOf(insets))
            insets
        }
        fit(isWide, NO_BARS)
    }

    // Before 15 an app has to ask for what it gets from then on.
    @Suppress("DEPRECATION")
    private fun drawBehindBars() {
        if (Build.VERSION.SDK_INT >= 30) {
            window.setDecorFitsSystemWindows(false)
        } else {
            window.decorView.systemUiVisibility = window.decorView.systemUiVisibility or
                View.SYSTEM_UI_FLAG_LAYOUT_STABLE or View.SYSTEM_UI_FLAG_LAYOUT_FULLSCREEN or
                View.SYSTEM_UI_FLAG_LAYOUT_HIDE_NAVIGATION
        }
    }

    /** Keeps controls clear of bars and cut-outs; what scrolls goes on behind them. */
    private fun fit(isWide: Boolean, bars: IntArray) {
        val (left, top, right, bottom) = bars
        val side = dp(20)
        if (isWide) {
            navigation.setPadding(left, top, 0, bottom)
            page.setPadding(side, top + side, right + side, bottom + side)
        } else {
            navigation.setPadding(left, 0, right, bottom)
            page.setPadding(left + side, top + side, right + side, side)
        }
    }

    fun show(index: Int) {
        if (screen != null && index == tab) return
        screen?.leave()
        tab = index
        navigation.select(index)
        val next = screenAt(index)
        screen = next
        val header = column().apply {
            put(label(getString(next.title), 30f, bold = true).heading())
            put(label(getString(next.lead), 15f, R.color.text_soft).apply { setPadding(0, dp(4), 0, dp(20)) })
        }
        val columns = Columns(this, header)
        next.build(columns)
        page.removeAllViews()
        page.addView(columns)
        page.scrollTo(0, 0)
    }

    private fun screenAt(index: Int): Screen = when (index) {
        0 -> ModelsScreen(this)
        1 -> TryScreen(this)
        2 -> CheckScreen(this)
        3 -> BenchScreen(this)
        else -> AboutScreen(this)
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putInt(TAB, tab)
        outState.putInt(SCROLL, page.scrollY)
    }

    override fun onDestroy() {
        screen?.leave()
        super.onDestroy()
    }

    fun pickBundle() {
        // Some file managers know a zip by other names, or by none.
        val types = arrayOf("application/zip", "application/x-zip-compressed", "application/octet-stream")
        pick(Intent(Intent.ACTION_OPEN_DOCUMENT).setType("*/*").putExtra(Intent.EXTRA_MIME_TYPES, types), BUNDLE)
    }

    fun pickPicture() = pick(Intent(Intent.ACTION_OPEN_DOCUMENT).setType("image/*"), PICTURE)

    private fun pick(intent: Intent, request: Int) {
        try {
            startActivityForResult(intent.addCategory(Intent.CATEGORY_OPENABLE), request)
        } catch (_: ActivityNotFoundException) {
            Toast.makeText(this, R.string.no_picker, Toast.LENGTH_LONG).show()
        }
    }

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        super.onActivityResult(requestCode, resultCode, data)
        val uri = data?.data ?: return
        if (resultCode != RESULT_OK) return
        if (requestCode == BUNDLE) app.import(uri) else app.tries.pick(uri)
    }

    /** Hands a JSON file to the app that the user chooses. */
    fun share(name: String, json: String) {
        val uri = SharedFiles.keep(this, name, json)
        val intent = Intent(Intent.ACTION_SEND).setType(SharedFiles.JSON).putExtra(Intent.EXTRA_STREAM, uri)
        intent.putExtra(Intent.EXTRA_SUBJECT, name).addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
        intent.clipData = ClipData.newRawUri(name, uri) // carries the right to read through the chooser
        startActivity(Intent.createChooser(intent, getString(R.string.share_json)))
    }

    private companion object {
        val TABS = listOf(
            Tab(R.string.tab_models, R.drawable.ic_models),
            Tab(R.string.tab_try, R.drawable.ic_try),
            Tab(R.string.tab_check, R.drawable.ic_check),
            Tab(R.string.tab_bench, R.drawable.ic_bench),
            Tab(R.string.tab_about, R.drawable.ic_about),
        )
        val NO_BARS = intArrayOf(0, 0, 0, 0)
        const val TAB = "tab"
        const val SCROLL = "scroll"
        const val BUNDLE = 1
        const val PICTURE = 2
    }
}

/** Left, top, right, bottom. */
private fun barsOf(insets: WindowInsets): IntArray {
    if (Build.VERSION.SDK_INT >= 30) {
        val bars: Insets = insets.getInsets(WindowInsets.Type.systemBars() or WindowInsets.Type.displayCutout())
        return intArrayOf(bars.left, bars.top, bars.right, bars.bottom)
    }
    @Suppress("DEPRECATION")
    return intArrayOf(
        insets.systemWindowInsetLeft, insets.systemWindowInsetTop, insets.systemWindowInsetRight, insets.systemWindowInsetBottom,
    )
}
