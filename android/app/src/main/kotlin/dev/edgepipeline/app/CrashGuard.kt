package dev.edgepipeline.app

import android.content.Context
import android.content.SharedPreferences

/**
 * Knows at the next start that an engine took the process with it. A driver that crashes in native
 * code cannot be caught, so the engine that is being started is written down before and cleared
 * after; what is found at start-up did not come back.
 */
class CrashGuard(context: Context) {
    private val store: SharedPreferences = context.getSharedPreferences("guard", Context.MODE_PRIVATE)

    /** The engine that the last process died in, once; null if it ended well. */
    fun takeCrashed(): String? {
        val engine = store.getString(STARTING, null)
        if (engine != null) store.edit().remove(STARTING).commit()
        return engine
    }

    /** Runs [start], which may never come back. An exception is no crash. */
    fun <T> around(engine: String, start: () -> T): T {
        // commit, not apply: it must be on the disk before the engine is touched.
        store.edit().putString(STARTING, engine).commit()
        try {
            return start()
        } finally {
            store.edit().remove(STARTING).commit()
        }
    }

    private companion object {
        const val STARTING = "starting"
    }
}
