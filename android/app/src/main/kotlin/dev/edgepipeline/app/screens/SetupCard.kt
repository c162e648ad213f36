package dev.edgepipeline.app.screens

import android.view.View
import android.widget.LinearLayout
import dev.edgepipeline.app.MainActivity
import dev.edgepipeline.app.R
import dev.edgepipeline.app.ui.Segments
import dev.edgepipeline.app.ui.breakable
import dev.edgepipeline.app.ui.card
import dev.edgepipeline.app.ui.centred
import dev.edgepipeline.app.ui.dp
import dev.edgepipeline.app.ui.fact
import dev.edgepipeline.app.ui.label
import dev.edgepipeline.app.ui.put
import dev.edgepipeline.app.ui.quietButton
import dev.edgepipeline.app.ui.row
import dev.edgepipeline.core.EngineKind

/** What runs: the model, the engine and the threads, chosen before it starts. */
fun setupCard(activity: MainActivity): View = activity.card(activity.getString(R.string.setup)) {
    val app = activity.app
    val choice = app.choice.value
    put(context.fact(context.getString(R.string.model), choice?.let { "${it.bundle.manifest.name}, ${breakable(it.artifact.id)}" } ?: "—"))
    val kinds = app.engines.value
    if (kinds.size == 1) {
        put(context.fact(context.getString(R.string.engine), engineName(activity, kinds[0])))
    } else if (kinds.isNotEmpty()) {
        val at = kinds.indexOfFirst { it.id == (choice?.kind?.id ?: app.settings.engineId) }
        put(context.label(context.getString(R.string.engine), 14f, R.color.text_soft))
        put(Segments(context, kinds.map { kind -> engineName(activity, kind) to { app.takeEngine(kind) } }, at))
        kinds.getOrNull(at)?.let { kind -> engineNote(activity, kind) }?.let { put(context.label(it, 13f, R.color.caution)) }
    }
    put(threads(activity))
}

private fun threads(activity: MainActivity): LinearLayout = activity.row(8).apply {
    val app = activity.app
    val count = app.settings.threads
    val most = Runtime.getRuntime().availableProcessors()
    put(context.label(context.getString(R.string.threads), 14f, R.color.text_soft), 1f)
    fun step(sign: String, description: Int, to: Int) = context.quietButton(sign) { app.takeThreads(to) }.apply {
        contentDescription = context.getString(description)
        textSize = 20f
        isEnabled = to in 1..most
        alpha = if (isEnabled) 1f else 0.4f
    }
    put(step("−", R.string.fewer_threads, count - 1))
    put(context.label(count.toString(), 18f, bold = true).centred()) {
        minWidth = dp(40)
        contentDescription = "${context.getString(R.string.threads)} $count"
    }
    put(step("+", R.string.more_threads, count + 1))
}

fun engineName(activity: MainActivity, kind: EngineKind): String = when (kind.id) {
    "cpu" -> activity.getString(R.string.engine_cpu)
    "xnnpack" -> activity.getString(R.string.engine_xnnpack)
    "nnapi" -> activity.getString(R.string.engine_nnapi)
    "pytorch" -> activity.getString(R.string.engine_pytorch)
    else -> kind.id
}

fun engineNote(activity: MainActivity, kind: EngineKind): String? = when (kind.id) {
    "nnapi" -> activity.getString(R.string.note_nnapi)
    "pytorch" -> activity.getString(R.string.note_pytorch)
    else -> null
}
