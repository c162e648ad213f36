package dev.edgepipeline.core

import java.io.File
import java.io.FileOutputStream
import java.io.IOException

/**
 * Writes a bundle that was opened from an archive into [folder], which does not exist yet, and opens
 * it there. What is written is hashed once more, and artifacts of [formats], which are those that can
 * be run here, are validated; a half-written folder never gets the name.
 * Throws [Refused], or [IOException] where there is no room.
 */
fun unpack(
    bundle: Bundle, folder: File, formats: Set<Format> = Format.entries.toSet(), progress: (Double) -> Unit = {},
): Bundle {
    val draft = File(folder.parentFile, folder.name + ".draft")
    draft.deleteRecursively()
    try {
        val all = bundle.manifest.entries.map { it.file } + MANIFEST
        all.forEachIndexed { number, name ->
            progress(number.toDouble() / all.size)
            copy(bundle.source, name, File(draft, name))
        }
        val written = Bundle.open(FolderSource(draft.toPath()))
        written.manifest.artifacts.filter { it.format in formats }.forEach { written.loadModel(it) }
        if (!draft.renameTo(folder)) throw IOException("$draft could not be renamed to $folder")
        return Bundle.open(FolderSource(folder.toPath()), hashes = false)
    } finally {
        draft.deleteRecursively()
    }
}

private fun copy(source: Source, name: String, target: File) {
    target.parentFile?.mkdirs()
    FileOutputStream(target).use { out ->
        source.open(name).use { stream -> forEachBlock(stream) { block, length -> out.write(block, 0, length) } }
        out.fd.sync()
    }
}
