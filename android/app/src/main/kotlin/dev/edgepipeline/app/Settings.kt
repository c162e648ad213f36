package dev.edgepipeline.app

import android.content.Context
import android.content.SharedPreferences
import dev.edgepipeline.core.Verdict
import dev.edgepipeline.core.named

/** What is chosen and what was found, across starts of the app. */
class Settings(context: Context) {
    private val store: SharedPreferences = context.getSharedPreferences("settings", Context.MODE_PRIVATE)

    var bundleId: String?
        get() = store.getString("bundle", null)
        set(value) = store.edit().putString("bundle", value).apply()

    /** Null: the bundle's own first choice. */
    var artifactId: String?
        get() = store.getString("artifact", null)
        set(value) = store.edit().putString("artifact", value).apply()

    var engineId: String
        get() = store.getString("engine", null) ?: "cpu"
        set(value) = store.edit().putString("engine", value).apply()

    var threads: Int
        get() = store.getInt("threads", defaultThreads())
        set(value) = store.edit().putInt("threads", value).apply()

    /** The verdict of the last self-check, by content: another bundle of that name has none. */
    fun lastCheck(digest: String, artifact: String): Verdict? =
        store.getString("check/$digest/$artifact", null)?.let(Verdict.entries::named)

    fun setLastCheck(digest: String, artifact: String, verdict: Verdict) =
        store.edit().putString("check/$digest/$artifact", verdict.word).apply()
}

/** Phones have few fast cores; more threads than those wait for the slow ones. */
private fun defaultThreads(): Int = (Runtime.getRuntime().availableProcessors() / 2).coerceIn(1, 4)
