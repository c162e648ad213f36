package dev.edgepipeline.app

import dev.edgepipeline.core.EngineKind
import dev.edgepipeline.core.OnnxKind

/** What this device can run models with, the default first. Loads the runtime: not on the UI thread. */
fun availableEngines(): List<EngineKind> = OnnxKind.available() + extraEngines()
