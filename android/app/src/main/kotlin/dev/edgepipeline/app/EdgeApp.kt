package dev.edgepipeline.app

import android.app.Application
import android.content.Context
import android.system.Os
import dev.edgepipeline.app.state.AppState
import dev.edgepipeline.core.Telemetry

/** Holds what outlives an activity: a rotation in mid-run changes nothing. */
class EdgeApp : Application() {
    val state: AppState by lazy { AppState(this) }

    /** The first of the app's code to run: no thread reads the environment yet, no library is loaded. */
    override fun attachBaseContext(base: Context) {
        super.attachBaseContext(base)
        Os.setenv(Telemetry.VARIABLE, Telemetry.OFF, true)
    }

    override fun onCreate() {
        super.onCreate()
        prepareExtraEngines(this)
    }
}

val Context.appState: AppState get() = (applicationContext as EdgeApp).state
