package dev.edgepipeline.app.state

import dev.edgepipeline.app.Live
import dev.edgepipeline.app.explain
import dev.edgepipeline.core.BenchPlan
import dev.edgepipeline.core.BenchResult
import dev.edgepipeline.core.Choice
import dev.edgepipeline.core.benchmark
import java.util.concurrent.atomic.AtomicBoolean

sealed class Bench {
    object Idle : Bench()
    class Running(val share: Double) : Bench()
    class Done(val choice: Choice, val result: BenchResult) : Bench()
    class Failed(val message: String) : Bench()
}

class BenchState(private val app: AppState, private val slot: EngineSlot) {
    val live = Live<Bench>(Bench.Idle)
    private var cancelled = AtomicBoolean()

    fun start(plan: BenchPlan = BenchPlan()) {
        val choice = app.choice.value ?: return
        if (live.value is Bench.Running) return
        live.value = Bench.Running(0.0)
        val stop = AtomicBoolean().also { cancelled = it }
        app.worker.run({
            slot.alone(choice) { benchmark(choice, plan, notTooOften(), stop::get) }
        }) { found ->
            live.value = found.fold(
                { if (it == null) Bench.Idle else Bench.Done(choice, it) },
                { Bench.Failed(explain(it)) },
            )
        }
    }

    fun stop() = cancelled.set(true)

    // Ten times a second: drawing the progress must not be what is measured.
    private fun notTooOften(): (Double) -> Unit {
        var last = System.nanoTime()
        return { share ->
            val now = System.nanoTime()
            if (now - last > 100_000_000) {
                last = now
                app.worker.post { live.value = Bench.Running(share) }
            }
        }
    }
}
