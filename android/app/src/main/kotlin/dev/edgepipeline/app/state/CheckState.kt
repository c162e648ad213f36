package dev.edgepipeline.app.state

import dev.edgepipeline.app.Live
import dev.edgepipeline.app.explain
import dev.edgepipeline.core.CheckResult
import dev.edgepipeline.core.Choice
import dev.edgepipeline.core.selfCheck

sealed class Check {
    object Idle : Check()
    class Running(val done: Int, val all: Int) : Check()
    class Done(val choice: Choice, val result: CheckResult, val warnings: List<String>) : Check()
    class Failed(val message: String) : Check()
}

class CheckState(private val app: AppState, private val slot: EngineSlot) {
    val live = Live<Check>(Check.Idle)

    fun start() {
        val choice = app.choice.value ?: return
        if (live.value is Check.Running) return
        live.value = Check.Running(0, choice.bundle.manifest.golden.size)
        app.worker.run({
            slot.use(choice) { engine ->
                val result = selfCheck(choice.bundle, choice.artifact, engine) { done, all ->
                    app.worker.post { live.value = Check.Running(done, all) }
                }
                Check.Done(choice, result, engine.warnings)
            }
        }) { found ->
            live.value = found.getOrElse { Check.Failed(explain(it)) }
            found.onSuccess { app.keepVerdict(choice, it.result.verdict) }
        }
    }
}
