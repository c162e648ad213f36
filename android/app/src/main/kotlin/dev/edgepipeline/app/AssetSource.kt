package dev.edgepipeline.app

import android.content.res.AssetManager
import dev.edgepipeline.core.Entry
import dev.edgepipeline.core.Source
import dev.edgepipeline.core.checkName
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream

/** A bundle among the APK's assets. Assets know neither links nor empty folders. */
class AssetSource(private val assets: AssetManager, private val path: String) : Source {
    override val title: String get() = path.substringAfterLast('/')

    override fun list(): List<Entry> = ArrayList<Entry>().also { walk("", it) }

    private fun walk(prefix: String, found: MutableList<Entry>) {
        for (child in childrenOf(assets, "$path/$prefix".trimEnd('/'))) {
            val name = checkName(prefix + child)
            val bytes = bytesOf(name)
            found += Entry(name, bytes)
            if (bytes == null) walk("$name/", found)
        }
    }

    // Null for a folder. Only what is stored has a descriptor; what the packer compressed is counted.
    private fun bytesOf(name: String): Long? = try {
        assets.openFd("$path/$name").use { it.length }
    } catch (_: IOException) {
        try {
            open(name).use { stream -> generateSequence { stream.read(ByteArray(1 shl 16)).takeIf { it >= 0 } }.sumOf { it.toLong() } }
        } catch (_: FileNotFoundException) {
            null
        }
    }

    override fun open(name: String): InputStream = assets.open("$path/$name", AssetManager.ACCESS_STREAMING)
}

/** What lies directly in a folder. Robolectric's list has what lies deeper, too, as `a/b`. */
fun childrenOf(assets: AssetManager, folder: String): List<String> =
    assets.list(folder).orEmpty().map { it.substringBefore('/') }.distinct().sorted()
