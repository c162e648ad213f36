package dev.edgepipeline.core

import java.io.Closeable
import java.io.IOException
import java.io.InputStream
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.charset.CharacterCodingException
import java.nio.file.Path
import java.util.zip.ZipEntry
import java.util.zip.ZipException
import java.util.zip.ZipFile

/**
 * A bundle in a zip archive, at its top or in the one folder that is there.
 *
 * The central directory is read here as well as by [ZipFile], which tells neither of links nor of
 * names that stand twice.
 */
class ZipSource private constructor(
    override val title: String, private val zip: ZipFile, private val top: String, private val entries: List<Entry>,
) : Source, Closeable {
    override fun list(): List<Entry> = entries

    override fun open(name: String): InputStream {
        val entry = zip.getEntry(top + checkName(name)) ?: refuse(Refusal.MISSING_FILE, name)
        if (entry.method != ZipEntry.STORED && entry.method != ZipEntry.DEFLATED) {
            throw IOException("$name is compressed by method ${entry.method}")
        }
        return zip.getInputStream(entry)
    }

    override fun close() = zip.close()

    companion object {
        /** Throws [Refused] for what is no archive, or holds what no bundle does. */
        fun open(file: Path, title: String = file.fileName.toString()): ZipSource {
            val records = RandomAccessFile(file.toFile(), "r").use { ZipDirectory(it, title).read() }
            val top = topFolder(records)
            // Before ZipFile, which refuses some of these names in its own words.
            val entries = entriesOf(records, top)
            try {
                return ZipSource(title, ZipFile(file.toFile()), top, entries)
            } catch (error: ZipException) {
                refuse(Refusal.NOT_A_BUNDLE, title, "its archive cannot be read: ${error.message}")
            }
        }
    }
}

private fun entriesOf(records: List<ZipRecord>, top: String): List<Entry> {
    val files = ArrayList<Entry>()
    val folders = LinkedHashSet<String>()
    for (record in records) {
        val name = record.name.removePrefix(top)
        if (name.isEmpty()) continue
        val isFolder = name.endsWith('/')
        val path = checkName(name.removeSuffix("/"))
        checkKind(record, path, isFolder)
        folders += foldersOf(path)
        if (isFolder) folders += path else files += Entry(path, record.bytes)
        if (files.size + folders.size > MAX_FILES) refuse(Refusal.TOO_MANY_FILES, "The bundle", MAX_FILES)
    }
    return files + folders.map { Entry(it, null) }
}

// st_mode's kinds, as Unix archivers keep them.
private const val S_IFREG = 0x8
private const val S_IFDIR = 0x4
private const val S_IFLNK = 0xA

private fun checkKind(record: ZipRecord, path: String, isFolder: Boolean) {
    when (record.unixKind) {
        0, if (isFolder) S_IFDIR else S_IFREG -> Unit
        S_IFLNK -> refuse(Refusal.LINK, path)
        else -> refuse(Refusal.NOT_A_FILE, path, "a pipe, socket or device")
    }
}

/** Nothing, or `NAME/` where that holds all of the archive. The bundle's own folder may have any name. */
private fun topFolder(records: List<ZipRecord>): String {
    if (records.any { it.name == MANIFEST }) return ""
    val first = records.firstOrNull()?.name ?: return ""
    val folder = first.substringBefore('/', "") + "/"
    val isSafe = folder.length > 1 && folder != "../" && folder != "./"
    return if (isSafe && records.all { it.name.startsWith(folder) }) folder else ""
}

internal class ZipRecord(val name: String, val bytes: Long, val unixKind: Int)

/** The central directory, by APPNOTE.TXT 6.3 (4.3.12, 4.3.16, 4.4.15); no ZIP64, which nothing here needs. */
private class ZipDirectory(private val file: RandomAccessFile, private val title: String) {
    fun read(): List<ZipRecord> {
        val end = findEnd()
        val count = end.getShort(10).toInt() and 0xffff
        val length = end.getInt(12).toLong() and 0xffffffffL
        val start = end.getInt(16).toLong() and 0xffffffffL
        if (count == 0xffff || start == 0xffffffffL) unreadable("it is a ZIP64 archive")
        if (start + length > file.length() || length > MAX_DIRECTORY) unreadable("its directory is damaged")
        val buffer = readAt(start, length.toInt())
        val names = HashSet<String>()
        return List(count) {
            record(buffer).also { if (!names.add(it.name)) unreadable("it has ${quoted(it.name)} twice") }
        }
    }

    private fun findEnd(): ByteBuffer {
        if (file.length() < 22) unreadable("it is no zip archive")
        val length = minOf(file.length(), 22L + 0xffff).toInt()
        val tail = readAt(file.length() - length, length)
        for (at in length - 22 downTo 0) {
            if (tail.getInt(at) != END_SIGNATURE) continue
            tail.position(at)
            return tail.slice().order(ByteOrder.LITTLE_ENDIAN)
        }
        unreadable("it is no zip archive")
    }

    private fun record(from: ByteBuffer): ZipRecord {
        if (from.remaining() < 46 || from.getInt(from.position()) != RECORD_SIGNATURE) {
            unreadable("its directory is damaged")
        }
        val at = from.position()
        val flags = from.getShort(at + 8).toInt()
        val bytes = from.getInt(at + 24).toLong() and 0xffffffffL
        val lengths = listOf(28, 30, 32).map { from.getShort(at + it).toInt() and 0xffff }
        val mode = if (from.get(at + 5).toInt() == MADE_ON_UNIX) (from.getInt(at + 38) ushr 28) and 0xf else 0
        if (from.remaining() < 46 + lengths.sum()) unreadable("its directory is damaged")
        if (flags and ENCRYPTED != 0) unreadable("it is encrypted")
        val name = ByteArray(lengths[0])
        from.position(at + 46)
        from.get(name)
        from.position(at + 46 + lengths.sum())
        return ZipRecord(decode(name), bytes, mode)
    }

    private fun decode(name: ByteArray): String = try {
        Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(name)).toString()
    } catch (_: CharacterCodingException) {
        refuse(Refusal.UNSAFE_NAME, quoted(String(name, Charsets.ISO_8859_1)), "it is not UTF-8")
    }

    private fun readAt(start: Long, length: Int): ByteBuffer {
        val bytes = ByteArray(length)
        file.seek(start)
        file.readFully(bytes)
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
    }

    private fun unreadable(why: String): Nothing = refuse(Refusal.NOT_A_BUNDLE, title, why)

    private companion object {
        const val END_SIGNATURE = 0x06054b50
        const val RECORD_SIGNATURE = 0x02014b50
        const val MADE_ON_UNIX = 3
        const val ENCRYPTED = 1
        const val MAX_DIRECTORY = 1L shl 24
    }
}
