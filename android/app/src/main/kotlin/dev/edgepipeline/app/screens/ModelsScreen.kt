package dev.edgepipeline.app.screens

import android.text.format.Formatter
import android.view.View
import android.widget.LinearLayout
import dev.edgepipeline.app.MainActivity
import dev.edgepipeline.app.R
import dev.edgepipeline.app.state.BundleItem
import dev.edgepipeline.app.state.BundleState
import dev.edgepipeline.app.state.Importing
import dev.edgepipeline.app.ui.Beside
import dev.edgepipeline.app.ui.Columns
import dev.edgepipeline.app.ui.ShareBar
import dev.edgepipeline.app.ui.breakable
import dev.edgepipeline.app.ui.card
import dev.edgepipeline.app.ui.chip
import dev.edgepipeline.app.ui.column
import dev.edgepipeline.app.ui.dp
import dev.edgepipeline.app.ui.label
import dev.edgepipeline.app.ui.live
import dev.edgepipeline.app.ui.mainButton
import dev.edgepipeline.app.ui.put
import dev.edgepipeline.app.ui.quietButton
import dev.edgepipeline.app.ui.rippled
import dev.edgepipeline.app.ui.rounded
import dev.edgepipeline.app.ui.row
import dev.edgepipeline.core.Artifact
import dev.edgepipeline.core.Bundle
import dev.edgepipeline.core.Verdict
import dev.edgepipeline.core.fitsThisCpu

class ModelsScreen(activity: MainActivity) : Screen(activity) {
    override val title = R.string.tab_models
    override val lead = R.string.models_lead

    override fun build(columns: Columns) {
        val crash = columns.place()
        val bundles = columns.place()
        val import = columns.place()
        watch(app.crashed) { engine -> crash.show(engine?.let(::crashCard)) }
        watchAll(app.bundles, app.choice, app.broken) {
            val items = app.bundles.value
            val broken = app.broken.value?.let { errorCard(R.string.broken, it) }
            val none = if (broken == null && items.isEmpty()) activity.card { put(context.label(text(R.string.no_bundles))) } else null
            bundles.show(broken, none, *items.map(::bundleCard).toTypedArray())
        }
        watch(app.importing) { import.show(importCard(it)) }
    }

    private fun crashCard(engine: String): View = activity.card {
        val name = app.engines.value.find { it.id == engine }?.let { engineName(activity, it) } ?: engine
        put(context.label(text(R.string.engine_crashed, name), 14f, R.color.caution))
        put(context.quietButton(text(R.string.dismiss)) { app.dismissCrash() })
    }

    private fun importCard(state: Importing): View = activity.card(text(R.string.import_bundle)) {
        when (state) {
            is Importing.Idle -> put(context.label(text(R.string.import_lead), 14f, R.color.text_soft))
            is Importing.Running -> {
                put(context.label(text(R.string.importing, (state.share * 100).toInt()), 14f, R.color.text_soft).live())
                put(ShareBar(context, state.share))
                return@card
            }
            is Importing.Failed -> {
                refused(R.string.import_failed, state.code)
                put(context.label(state.message).live())
            }
        }
        put(context.mainButton(text(R.string.import_bundle), R.drawable.ic_add) { activity.pickBundle() })
    }

    private fun bundleCard(item: BundleItem): View = activity.card(item.title) {
        when (val state = item.state) {
            is BundleState.Checking -> {
                put(context.label(text(R.string.checking_hashes), 14f, R.color.text_soft))
                put(ShareBar(context, state.share))
            }
            is BundleState.Bad -> {
                refused(R.string.bundle_refused, state.code)
                put(context.label(state.message))
            }
            is BundleState.Ready -> ready(item, state.bundle)
        }
        if (item.isImported && item.state !is BundleState.Checking) {
            put(context.quietButton(text(R.string.remove)) { app.remove(item.id) }) {
                contentDescription = "${text(R.string.remove)} ${item.title}"
            }
        }
    }

    private fun LinearLayout.refused(title: Int, code: String?) = put(context.row(8)) {
        put(context.chip(text(title), R.color.bad, R.color.bad_soft))
        code?.let { put(context.label(it, 13f, R.color.text_soft)) }
    }

    private fun LinearLayout.ready(item: BundleItem, bundle: Bundle) {
        val manifest = bundle.manifest
        if (manifest.description.isNotEmpty()) put(context.label(manifest.description, 14f, R.color.text_soft))
        val facts = listOf(manifest.version, size(bundle.bytes), manifest.license).filter { it.isNotEmpty() }
        put(context.label(facts.joinToString("  ·  "), 13f, R.color.text_soft))
        put(context.row(8)) {
            put(context.chip("✓  " + text(R.string.hashes_match, manifest.entries.size), R.color.good, R.color.good_soft))
        }
        if (manifest.allowFailed) {
            put(context.label(text(R.string.packed_failed, manifest.verdict.word), 14f, R.color.bad))
        }
        put(context.column(8)) { manifest.artifacts.forEach { put(artifactRow(item, bundle, it)) } }
    }

    private fun artifactRow(item: BundleItem, bundle: Bundle, artifact: Artifact): View {
        val chosen = app.choice.value
        val isChosen = chosen?.bundle?.digest == bundle.digest && chosen.artifact.id == artifact.id
        val canRun = app.engines.value.any { it.format == artifact.format }
        val badge = badge(bundle, artifact, canRun)
        val name = activity.label(breakable(artifact.id), 15f, if (isChosen) R.color.on_accent_soft else R.color.text, bold = true)
        val detail = activity.label(about(bundle, artifact), 13f, if (isChosen) R.color.on_accent_soft else R.color.text_soft)
        return Beside(activity, listOf(name, detail), activity.chip(badge.text, badge.color, badge.ground)).apply {
            val ground = if (isChosen) R.color.accent_soft else R.color.well
            background = context.rippled(rounded(context.getColor(ground), dp(14).toFloat()))
            setPadding(dp(14), dp(12), dp(14), dp(12))
            minimumHeight = dp(56)
            contentDescription = listOf(artifact.id, detail.text, badge.text).joinToString(", ") +
                if (isChosen) ", ${text(R.string.in_use)}" else ""
            isSelected = isChosen
            isEnabled = canRun
            alpha = if (canRun) 1f else 0.55f
            isFocusable = true
            if (canRun) setOnClickListener { app.take(item, artifact) }
        }
    }

    private fun about(bundle: Bundle, artifact: Artifact): String {
        val value = artifact.results.firstNotNullOfOrNull { it.figures["metric"] }
        val name = bundle.manifest.verified.metric?.name.orEmpty()
        val parts = listOfNotNull(
            size(artifact.bytes),
            value?.let { text(R.string.metric, name, "%.4g".format(it)) },
            if (fitsThisCpu(artifact)) null else text(R.string.made_for, artifact.madeFor),
        )
        return parts.joinToString("  ·  ")
    }

    private class Badge(val text: String, val color: Int, val ground: Int)

    private fun badge(bundle: Bundle, artifact: Artifact, canRun: Boolean): Badge {
        if (!canRun) return Badge(text(R.string.no_engine), R.color.text_soft, R.color.card)
        return when (app.settings.lastCheck(bundle.digest, artifact.id)) {
            Verdict.PASS -> Badge(text(R.string.check_passed), R.color.good, R.color.good_soft)
            Verdict.FAIL -> Badge(text(R.string.check_failed), R.color.bad, R.color.bad_soft)
            else -> Badge(text(R.string.check_none), R.color.text_soft, R.color.card)
        }
    }

    private fun size(bytes: Long): String = Formatter.formatShortFileSize(activity, bytes)
}
