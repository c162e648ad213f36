package dev.edgepipeline.app.screens

import android.view.View
import dev.edgepipeline.app.MainActivity
import dev.edgepipeline.app.R
import dev.edgepipeline.app.state.Bench
import dev.edgepipeline.app.thisDevice
import dev.edgepipeline.app.ui.Bars
import dev.edgepipeline.app.ui.Columns
import dev.edgepipeline.app.ui.ShareBar
import dev.edgepipeline.app.ui.card
import dev.edgepipeline.app.ui.column
import dev.edgepipeline.app.ui.figure
import dev.edgepipeline.app.ui.histogram
import dev.edgepipeline.app.ui.label
import dev.edgepipeline.app.ui.live
import dev.edgepipeline.app.ui.mainButton
import dev.edgepipeline.app.ui.put
import dev.edgepipeline.app.ui.putFigures
import dev.edgepipeline.app.ui.quietButton
import dev.edgepipeline.core.benchJson
import dev.edgepipeline.core.toJson

class BenchScreen(activity: MainActivity) : Screen(activity) {
    override val title = R.string.tab_bench
    override val lead = R.string.bench_lead

    override fun build(columns: Columns) {
        val setup = columns.place()
        val outcome = columns.place()
        val details = columns.place()
        watchAll(app.choice, app.engines, app.bench.live) { setup.show(setupCard(activity), startCard(app.bench.live.value)) }
        watch(app.bench.live) { bench ->
            val done = bench as? Bench.Done
            outcome.show(done?.let(::figuresCard), (bench as? Bench.Failed)?.let { errorCard(R.string.bench_failed, it.message) })
            details.show(done?.let(::histogramCard))
        }
    }

    private fun startCard(bench: Bench): View = activity.column(12).apply {
        if (bench is Bench.Running) {
            put(context.label(text(R.string.bench_progress, (bench.share * 100).toInt()), 14f, R.color.text_soft))
            put(ShareBar(context, bench.share))
            put(context.quietButton(text(R.string.stop)) { app.bench.stop() })
        } else if (app.choice.value == null) {
            put(context.label(nothingToRun(), 14f, R.color.text_soft))
        } else {
            put(context.mainButton(text(R.string.run_bench), R.drawable.ic_bench) { app.bench.start() })
        }
    }

    private fun figuresCard(done: Bench.Done): View = activity.card(done.choice.artifact.id) {
        val result = done.result
        fun figure(name: Int, ms: Double, color: Int = R.color.text) =
            context.figure(text(name), "${milliseconds(ms)} ${text(R.string.milliseconds)}", null, color)
        putFigures(
            listOf(
                figure(R.string.p50, result.percentile(50), R.color.accent),
                figure(R.string.p90, result.percentile(90)),
                figure(R.string.p99, result.percentile(99)),
                figure(R.string.load, result.loadMs),
                figure(R.string.first_run, result.firstMs),
                context.figure(text(R.string.runs), result.latenciesMs.size.toString()),
            ),
            inRow = 3,
        )
        val how =
            listOf(done.choice.kind.runtime, engineName(activity, done.choice.kind), "${text(R.string.threads)} ${done.choice.threads}")
        put(context.label(how.joinToString("  ·  "), 13f, R.color.text_soft))
        live()
    }

    private fun histogramCard(done: Bench.Done): View = activity.card(text(R.string.histogram)) {
        val times = done.result.latenciesMs
        val (low, middle, end, high) = with(done.result) {
            listOf(times.min(), percentile(50), percentile(99), times.max())
        }
        // To p99, the rest in one bar: a single slow run would press all others together.
        val bins = histogram(times, end)
        put(Bars(context, bins, "${milliseconds(low)} ms", "> ${milliseconds(end)} ms", setOf(bins.size - 1), R.color.caution)) {
            contentDescription = text(R.string.histogram_label, times.size, milliseconds(low), milliseconds(high), milliseconds(middle))
        }
        val slower = times.count { it > end }
        if (slower > 0) {
            val words = activity.resources.getQuantityString(R.plurals.slower, slower, slower, milliseconds(high))
            put(context.label(words, 13f, R.color.text_soft))
        }
        put(
            context.quietButton(text(R.string.share_json), R.drawable.ic_share) {
                activity.share("${done.choice.bundle.manifest.name}-benchmark.json", jsonOf(done))
            },
        )
    }

    private fun jsonOf(done: Bench.Done): String =
        toJson(mapOf("device" to thisDevice(activity).json()) + benchJson(done.choice, done.result))
}
