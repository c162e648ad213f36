package androidx.test.internal.runner.lifecycle

import android.app.Activity
import android.app.Application
import androidx.test.runner.lifecycle.ActivityLifecycleMonitor
import androidx.test.runner.lifecycle.ApplicationLifecycleMonitor
import androidx.test.runner.lifecycle.ApplicationStage
import androidx.test.runner.lifecycle.Stage
import androidx.test.runner.lifecycle.Told

class ActivityLifecycleMonitorImpl private constructor(private val told: Told) : ActivityLifecycleMonitor by told {
    constructor() : this(Told())

    fun signalLifecycleChange(stage: Stage, activity: Activity) = told.tell(activity, stage)
}

class ApplicationLifecycleMonitorImpl : ApplicationLifecycleMonitor {
    @Suppress("UNUSED_PARAMETER")
    fun signalLifecycleChange(application: Application, stage: ApplicationStage) = Unit
}
