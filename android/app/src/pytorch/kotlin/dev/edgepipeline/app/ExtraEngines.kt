package dev.edgepipeline.app

import android.content.Context
import dev.edgepipeline.core.EngineKind

/** The flavor `pytorch` adds TorchScript. */
fun extraEngines(): List<EngineKind> = listOf(PyTorchKind)

/** Says where engines may keep files. */
fun prepareExtraEngines(context: Context) {
    PyTorchKind.folder = context.noBackupFilesDir
}
