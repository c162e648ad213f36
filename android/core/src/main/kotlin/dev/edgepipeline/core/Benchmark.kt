package dev.edgepipeline.core

import kotlin.math.ceil
import kotlin.math.max

/** How long to measure: at least so many runs and seconds of them, after a warm-up. */
class BenchPlan(
    val runs: Int = 64,
    val seconds: Double = 2.0,
    val warmRuns: Int = 3,
    val warmSeconds: Double = 0.3,
)

class BenchResult(
    /** Opening the model, hash included. */
    val loadMs: Double,
    val firstMs: Double,
    /** Of every measured run, in order; nothing is dropped or smoothed. */
    val latenciesMs: List<Double>,
    val warmupRuns: Int,
) {
    fun percentile(percent: Int): Double = nearestRank(latenciesMs, percent)
}

/** The smallest value that at least [percent] of all are not above: the nearest-rank method. */
fun nearestRank(values: List<Double>, percent: Int): Double {
    require(values.isNotEmpty() && percent in 0..100)
    val rank = max(1, ceil(percent / 100.0 * values.size).toInt())
    return values.sorted()[rank - 1]
}

/**
 * Opens what was chosen, then measures runs of the golden samples that have the first one's
 * shapes, so that all runs do the same work. [progress] is told the share that is done; [isCancelled]
 * is asked between runs, and ends the measuring with null.
 */
fun benchmark(
    choice: Choice, plan: BenchPlan = BenchPlan(), progress: (Double) -> Unit = {}, isCancelled: () -> Boolean = { false },
): BenchResult? {
    val golden = choice.bundle.manifest.golden
    require(golden.isNotEmpty()) { "the bundle has no golden samples to measure with" }
    val alike = golden.filter { sample -> sample.inputs.map { it.shape } == golden[0].inputs.map { it.shape } }
    val samples = alike.map { sample -> sample.inputs.map(choice.bundle::tensor) }

    val start = System.nanoTime()
    choice.open().use { engine ->
        val loadMs = msSince(start)
        fun loop(runs: Int, seconds: Double, progress: (Double) -> Unit = {}) =
            measure(engine, samples, runs, seconds, progress, isCancelled)
        val first = loop(1, 0.0) ?: return null
        val warm = loop(plan.warmRuns, plan.warmSeconds) ?: return null
        val latencies = loop(plan.runs, plan.seconds, progress) ?: return null
        return BenchResult(loadMs, first[0], latencies, warm.size)
    }
}

/** Latencies in milliseconds; null if it was cancelled. */
private fun measure(
    engine: Engine, samples: List<List<Tensor>>, runs: Int, seconds: Double, progress: (Double) -> Unit, isCancelled: () -> Boolean,
): List<Double>? {
    val latencies = ArrayList<Double>()
    var total = 0.0
    while (latencies.size < runs || total < seconds * 1e3) {
        if (isCancelled()) return null
        val start = System.nanoTime()
        engine.run(samples[latencies.size % samples.size])
        latencies += msSince(start)
        total += latencies.last()
        progress(minOf(latencies.size.toDouble() / runs, if (seconds > 0) total / (seconds * 1e3) else 1.0, 1.0))
    }
    return latencies
}

private fun msSince(start: Long): Double = (System.nanoTime() - start) / 1e6
