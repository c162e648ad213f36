package dev.edgepipeline.app.state

import android.os.Looper
import dev.edgepipeline.app.CrashGuard
import dev.edgepipeline.core.Choice
import dev.edgepipeline.core.Engine

/** The one open engine. On the worker's thread only. */
class EngineSlot(private val guard: CrashGuard) {
    private var choice: Choice? = null
    private var engine: Engine? = null

    /** Runs [block] in the engine of [wanted], opened if another was; the first run is guarded, too. */
    fun <T> use(wanted: Choice, block: (Engine) -> T): T {
        checkThread()
        val there = engine.takeIf { choice?.isSame(wanted) == true }
        if (there != null) return block(there)
        close()
        return guard.around(wanted.kind.id) {
            val opened = wanted.open()
            engine = opened
            choice = wanted
            block(opened)
        }
    }

    /** For whom an engine of its own is opened: two would slow each other. */
    fun <T> alone(wanted: Choice, block: () -> T): T {
        checkThread()
        close()
        return guard.around(wanted.kind.id, block)
    }

    private fun checkThread() = check(!Looper.getMainLooper().isCurrentThread) { "a model on the main thread" }

    fun close() {
        engine?.close()
        engine = null
        choice = null
    }
}
