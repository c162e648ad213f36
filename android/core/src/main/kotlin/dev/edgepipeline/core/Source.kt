package dev.edgepipeline.core

import java.io.IOException
import java.io.InputStream
import java.nio.file.Files
import java.nio.file.LinkOption.NOFOLLOW_LINKS
import java.nio.file.NoSuchFileException
import java.nio.file.Path
import java.nio.file.StandardOpenOption

/** Where a bundle's files come from: a folder, an archive, an app's assets. */
interface Source {
    /** What messages call it. */
    val title: String

    /**
     * Everything below the bundle's own folder, its name checked: at most [MAX_FILES] of them.
     * Throws [Refused] for what is no plain file or folder, [IOException] where it cannot be read.
     */
    fun list(): List<Entry>

    /** The bytes of a plain file. Throws [Refused] if there is none by now. */
    fun open(name: String): InputStream
}

/** A file, or a folder where [bytes] is null. */
class Entry(val name: String, val bytes: Long?)

/** A folder of the system. No link is followed, and nothing but plain files is opened. */
class FolderSource(private val folder: Path) : Source {
    override val title: String get() = folder.fileName?.toString() ?: folder.toString()

    override fun list(): List<Entry> {
        if (!Files.isDirectory(folder)) {
            if (!Files.exists(folder)) throw NoSuchFileException(folder.toString())
            refuse(Refusal.NOT_A_BUNDLE, title, "it is no folder")
        }
        return ArrayList<Entry>().also { walk(folder, "", it) }
    }

    private fun walk(at: Path, prefix: String, found: MutableList<Entry>) {
        val children = Files.newDirectoryStream(at).use { it.take(MAX_FILES + 1) }
        for (child in children.sortedBy { it.fileName.toString() }) {
            val name = checkName(prefix + child.fileName)
            if (Files.isDirectory(child, NOFOLLOW_LINKS)) {
                found += Entry(name, null)
                walk(child, "$name/", found)
            } else {
                checkPlain(child, name)
                found += Entry(name, Files.size(child))
            }
            if (found.size > MAX_FILES) refuse(Refusal.TOO_MANY_FILES, "The bundle", MAX_FILES)
        }
    }

    override fun open(name: String): InputStream {
        val path = folder.resolve(checkName(name))
        // One folder after the other: each may have become a link since it was listed.
        for (way in foldersOf(name)) {
            if (Files.isSymbolicLink(folder.resolve(way))) refuse(Refusal.LINK, name)
        }
        if (!Files.exists(path, NOFOLLOW_LINKS)) refuse(Refusal.MISSING_FILE, name)
        checkPlain(path, name)
        return Files.newInputStream(path, StandardOpenOption.READ, NOFOLLOW_LINKS)
    }

    private fun checkPlain(path: Path, name: String) {
        if (Files.isSymbolicLink(path)) refuse(Refusal.LINK, name)
        if (Files.isDirectory(path, NOFOLLOW_LINKS)) refuse(Refusal.NOT_A_FILE, name, "a folder")
        if (!Files.isRegularFile(path, NOFOLLOW_LINKS)) {
            refuse(Refusal.NOT_A_FILE, name, "a pipe, socket or device")
        }
        val links = hardLinks(path)
        if (links != 1) refuse(Refusal.HARD_LINK, name, links)
    }

    // Systems without such links have no such attribute.
    private fun hardLinks(path: Path): Int = try {
        Files.getAttribute(path, "unix:nlink", NOFOLLOW_LINKS) as Int
    } catch (_: UnsupportedOperationException) {
        1
    } catch (_: IllegalArgumentException) {
        1
    }
}
