package dev.edgepipeline.app.screens

import android.view.View
import android.view.ViewGroup
import dev.edgepipeline.app.Live
import dev.edgepipeline.app.MainActivity
import dev.edgepipeline.app.R
import dev.edgepipeline.app.state.AppState
import dev.edgepipeline.app.ui.Columns
import dev.edgepipeline.app.ui.card
import dev.edgepipeline.app.ui.column
import dev.edgepipeline.app.ui.label
import dev.edgepipeline.app.ui.live
import dev.edgepipeline.app.ui.put
import java.io.Closeable

/** What one of the five places shows. It has no state of its own: that is in [AppState]. */
abstract class Screen(protected val activity: MainActivity) {
    protected val app: AppState = activity.app
    private val watched = ArrayList<Closeable>()

    abstract val title: Int
    abstract val lead: Int

    /** Adds the cards. */
    abstract fun build(columns: Columns)

    /** Follows a value until the screen is left. */
    protected fun <T> watch(live: Live<T>, show: (T) -> Unit) {
        watched += live.observe(show)
    }

    /** Shows now and whenever one of some values changes, until the screen is left. */
    protected fun watchAll(vararg all: Live<*>, show: () -> Unit) = all.forEach { watch(it) { show() } }

    fun leave() {
        watched.forEach { it.close() }
        watched.clear()
    }

    protected fun text(id: Int, vararg values: Any): String = activity.getString(id, *values)

    /** Why no model is chosen. */
    protected fun nothingToRun(): String {
        val bundle = app.bundles.value.find { it.bundle != null } ?: return text(R.string.nothing_chosen)
        return text(R.string.nothing_fits, bundle.title)
    }

    protected fun errorCard(title: Int, message: String): View = activity.card(text(title)) {
        put(context.label(message, 14f, R.color.bad).live())
    }

    /** A place for views that are made anew at each change. Empty, it takes no room. */
    protected fun Columns.place(): Place = Place().also { addView(it.view) }

    protected inner class Place {
        val view: ViewGroup = activity.column(16).apply { visibility = View.GONE }

        fun show(vararg views: View?) {
            view.removeAllViews()
            views.filterNotNull().forEach { view.addView(it, ViewGroup.LayoutParams.MATCH_PARENT, ViewGroup.LayoutParams.WRAP_CONTENT) }
            view.visibility = if (view.childCount > 0) View.VISIBLE else View.GONE
        }
    }
}
