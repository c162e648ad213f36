package dev.edgepipeline.app.screens

import android.view.View
import dev.edgepipeline.app.MainActivity
import dev.edgepipeline.app.R
import dev.edgepipeline.app.thisDevice
import dev.edgepipeline.app.ui.Columns
import dev.edgepipeline.app.ui.card
import dev.edgepipeline.app.ui.fact
import dev.edgepipeline.app.ui.label
import dev.edgepipeline.app.ui.put
import dev.edgepipeline.core.EngineKind

class AboutScreen(activity: MainActivity) : Screen(activity) {
    override val title = R.string.tab_about
    override val lead = R.string.about_lead

    override fun build(columns: Columns) {
        val versions = columns.place()
        watch(app.engines) { versions.show(appCard(it)) }
        columns.addView(deviceCard())
        columns.addView(activity.card(text(R.string.about_privacy)) { put(context.label(text(R.string.privacy), 14f, R.color.text_soft)) })
    }

    private fun appCard(kinds: List<EngineKind>): View = activity.card(text(R.string.about_app)) {
        put(context.fact(text(R.string.version), thisDevice(activity).appVersion))
        val runtimes = kinds.map { it.runtime }.distinct().ifEmpty { listOf(text(R.string.loading)) }
        put(context.fact(text(R.string.runtime), runtimes.joinToString()))
        put(context.fact(text(R.string.engines), kinds.joinToString { engineName(activity, it) }))
        kinds.mapNotNull { kind -> engineNote(activity, kind)?.let { "${engineName(activity, kind)}: $it" } }
            .forEach { put(context.label(it, 13f, R.color.caution)) }
    }

    private fun deviceCard(): View = activity.card(text(R.string.about_device)) {
        val device = thisDevice(activity)
        put(context.fact(text(R.string.phone), device.name))
        put(context.fact(text(R.string.android), text(R.string.android_version, device.androidVersion, device.apiLevel)))
        put(context.fact(text(R.string.abi), device.abi))
        put(context.fact(text(R.string.cores), device.cores.toString()))
        put(context.fact(text(R.string.page_size), if (device.pageSize > 0) text(R.string.kilobytes, device.pageSize / 1024) else "—"))
    }
}
