package dev.edgepipeline.app

import android.content.Context
import dev.edgepipeline.core.EngineKind

/** The flavor `plain` has ONNX Runtime alone. */
fun extraEngines(): List<EngineKind> = emptyList()

/** Says where engines may keep files. */
@Suppress("UNUSED_PARAMETER")
fun prepareExtraEngines(context: Context) = Unit
