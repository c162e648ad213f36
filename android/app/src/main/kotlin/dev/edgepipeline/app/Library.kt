package dev.edgepipeline.app

import android.content.Context
import android.net.Uri
import dev.edgepipeline.core.Bundle
import dev.edgepipeline.core.FolderSource
import dev.edgepipeline.core.Source
import dev.edgepipeline.core.ZipSource
import dev.edgepipeline.core.unpack
import java.io.File
import java.io.IOException

/** Where bundles lie: the APK's assets, and what was imported into the app's private files. */
class Library(private val context: Context) {
    private val imported = File(context.filesDir, "bundles")

    /** Ids of all bundles, those of the APK first. Reads the disk. */
    fun ids(): List<String> =
        childrenOf(context.assets, ASSETS).map { "asset:$it" } +
            imported.list().orEmpty().filter { it.endsWith(SUFFIX) }.sorted().map { "file:$it" }

    /** Opens a bundle with all hashes checked. Throws Refused or IOException. */
    fun open(id: String, progress: (Double) -> Unit = {}): Bundle = Bundle.open(source(id), progress = progress)

    private fun source(id: String): Source {
        val name = id.substringAfter(':')
        return if (isImported(id)) FolderSource(File(imported, name).toPath()) else AssetSource(context.assets, "$ASSETS/$name")
    }

    fun isImported(id: String): Boolean = id.startsWith("file:")

    fun remove(id: String) {
        require(isImported(id))
        File(imported, id.substringAfter(':')).deleteRecursively()
    }

    /**
     * Imports a zip that the user picked, checked as strictly as any bundle; gives its id. One with the
     * same content replaces nothing. Throws Refused or IOException, and then leaves nothing behind.
     */
    fun import(uri: Uri, progress: (Double) -> Unit = {}): String {
        val copy = File.createTempFile("import", ".zip", context.cacheDir)
        try {
            fetch(uri, copy)
            ZipSource.open(copy.toPath(), "The file").use { zip ->
                val bundle = Bundle.open(zip) { progress(it / 2) }
                val name = "${bundle.manifest.name}-${bundle.digest.take(8)}$SUFFIX"
                val folder = File(imported, name)
                imported.mkdirs()
                if (folder.exists()) folder.deleteRecursively()
                unpack(bundle, folder, availableEngines().map { it.format }.toSet()) { progress(0.5 + it / 2) }
                return "file:$name"
            }
        } finally {
            copy.delete()
        }
    }

    private fun fetch(uri: Uri, copy: File) {
        val stream = context.contentResolver.openInputStream(uri) ?: throw IOException("the file cannot be opened")
        stream.use { from -> copy.outputStream().use { from.copyTo(it) } }
    }

    private companion object {
        const val ASSETS = "bundles"
        const val SUFFIX = ".bundle"
    }
}
