package dev.edgepipeline.app

import android.app.Application
import android.content.Context
import dev.edgepipeline.app.state.AppState

/** Holds what outlives an activity: a rotation in mid-run changes nothing. */
class EdgeApp : Application() {
    val state: AppState by lazy { AppState(this) }

    override fun onCreate() {
        super.onCreate()
        prepareExtraEngines(this)
    }
}

val Context.appState: AppState get() = (applicationContext as EdgeApp).state
