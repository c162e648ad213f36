package dev.edgepipeline.app.screens

import android.view.View
import android.widget.LinearLayout
import dev.edgepipeline.app.MainActivity
import dev.edgepipeline.app.R
import dev.edgepipeline.app.state.Check
import dev.edgepipeline.app.ui.Bars
import dev.edgepipeline.app.ui.Columns
import dev.edgepipeline.app.ui.ShareBar
import dev.edgepipeline.app.ui.card
import dev.edgepipeline.app.ui.column
import dev.edgepipeline.app.ui.dp
import dev.edgepipeline.app.ui.figure
import dev.edgepipeline.app.ui.label
import dev.edgepipeline.app.ui.live
import dev.edgepipeline.app.ui.mainButton
import dev.edgepipeline.app.ui.put
import dev.edgepipeline.app.ui.putFigures
import dev.edgepipeline.app.ui.rounded
import dev.edgepipeline.core.Figures
import dev.edgepipeline.core.Perturbed
import dev.edgepipeline.core.Tolerance
import dev.edgepipeline.core.Verdict
import kotlin.math.abs

class CheckScreen(activity: MainActivity) : Screen(activity) {
    override val title = R.string.tab_check
    override val lead = R.string.check_lead

    override fun build(columns: Columns) {
        val setup = columns.place()
        val outcome = columns.place()
        val details = columns.place()
        watchAll(app.choice, app.engines, app.check.live) { setup.show(setupCard(activity), startCard(app.check.live.value)) }
        watch(app.check.live) { check ->
            val done = check as? Check.Done
            outcome.show(done?.let(::verdictCard), (check as? Check.Failed)?.let { errorCard(R.string.run_failed, it.message) })
            details.show(done?.let(::samplesCard))
        }
    }

    private fun startCard(check: Check): View = activity.column(12).apply {
        if (check is Check.Running) {
            put(context.label(text(R.string.check_progress, check.done, check.all), 14f, R.color.text_soft).live())
            put(ShareBar(context, if (check.all > 0) check.done.toDouble() / check.all else 0.0))
        } else if (app.choice.value == null) {
            put(context.label(nothingToRun(), 14f, R.color.text_soft))
        } else {
            put(context.mainButton(text(R.string.run_check), R.drawable.ic_check) { app.check.start() })
        }
    }

    private fun verdictCard(done: Check.Done): View = activity.card {
        val result = done.result
        put(banner(result.verdict))
        done.warnings.forEach { put(context.label(it, 13f, R.color.caution)) }
        result.reasons.forEach { put(context.label(it, 14f, if (result.verdict == Verdict.FAIL) R.color.bad else R.color.text)) }
        val tolerances = done.choice.artifact.tolerances
        result.outputs.forEachIndexed { i, figures ->
            if (result.outputs.size > 1) put(context.label(done.choice.bundle.manifest.outputs[i].name, 14f, bold = true))
            putFigures(figures(figures, tolerances[i]))
        }
        val where = listOf(done.choice.artifact.id, done.choice.kind.runtime, engineName(activity, done.choice.kind))
        put(context.label(where.joinToString("  ·  "), 13f, R.color.text_soft))
    }

    private fun banner(verdict: Verdict): View = activity.column(2).apply {
        val (words, color, ground) = when (verdict) {
            Verdict.PASS -> Triple(R.string.verdict_pass to R.string.verdict_pass_more, R.color.good, R.color.good_soft)
            Verdict.FAIL -> Triple(R.string.verdict_fail to R.string.verdict_fail_more, R.color.bad, R.color.bad_soft)
            else -> Triple(R.string.verdict_inconclusive to R.string.verdict_inconclusive_more, R.color.caution, R.color.caution_soft)
        }
        background = rounded(context.getColor(ground), dp(16).toFloat())
        setPadding(dp(16), dp(12), dp(16), dp(14))
        put(context.label(text(words.first), 26f, color, bold = true))
        put(context.label(text(words.second), 14f, color))
        contentDescription = "${text(words.first)}. ${text(words.second)}"
        isFocusable = true
        live()
    }

    private fun figures(found: Figures, asked: Tolerance): List<View> = listOf(
        figure(R.string.largest_error, found.maxAbs, most(asked.maxAbs)),
        figure(R.string.relative_error, found.maxRel, most(asked.maxRel)),
        figure(R.string.sqnr, found.sqnrDb, least(asked.minSqnrDb, " dB"), " dB"),
        figure(R.string.top1, found.top1?.let { it * 100 }, least(asked.minTop1?.let { it * 100 }, " %"), " %"),
    )

    private fun figure(name: Int, value: Double?, note: String, unit: String = ""): View =
        activity.figure(text(name), value?.let { brief(it) + unit } ?: "—", note)

    private fun most(limit: Double?) = limit?.let { text(R.string.allowed_most, brief(it)) } ?: text(R.string.not_asked)

    private fun least(limit: Double?, unit: String) =
        limit?.let { text(R.string.allowed_least, brief(it) + unit) } ?: text(R.string.not_asked)

    private fun samplesCard(done: Check.Done): View? {
        val samples = done.result.samples
        if (samples.isEmpty()) return null
        return activity.card(text(R.string.per_sample)) {
            val errors = samples.map { if (it.maxAbs.isFinite()) it.maxAbs else 0.0 }
            val wrong = samples.indices.filter { samples[it].reasons.isNotEmpty() }.toSet()
            put(Bars(context, errors, "0", (samples.size - 1).toString(), wrong)) {
                contentDescription = text(R.string.errors_label, samples.size, brief(errors.max()))
            }
            done.result.perturbed?.let { perturbed(it) }
        }
    }

    private fun LinearLayout.perturbed(found: Perturbed) {
        put(context.label(text(R.string.perturbed_title), 14f, bold = true))
        val words = if (found.failed) text(R.string.perturbed_good, found.number) else text(R.string.perturbed_bad)
        put(context.label(words, 14f, if (found.failed) R.color.good else R.color.bad))
    }
}

/** At most three digits that tell. */
fun brief(value: Double): String {
    val size = abs(value)
    return when {
        size == 0.0 -> "0"
        size >= 100 -> "%.0f".format(value)
        size >= 0.001 -> "%.3g".format(value).trimEnd('0').trimEnd('.', ',')
        else -> "%.1e".format(value)
    }
}
