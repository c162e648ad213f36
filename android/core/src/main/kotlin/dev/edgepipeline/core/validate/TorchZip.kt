package dev.edgepipeline.core.validate

import dev.edgepipeline.core.quoted

// The zip archive of a TorchScript file, as strictly as torch's own writer writes it: every byte of
// the file belongs to one record or is padding, and what is said twice is the same.
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT

private const val END = 22
private const val LOCATOR = 20
private const val END64 = 56
private const val NONE16 = 0xffffL // "see the 64-bit field"
private const val NONE32 = 0xffffffffL
private const val MAX_RECORDS = 1L shl 20
private const val UTF8 = 0x0800L
private const val DESCRIPTOR = 0x0008L

/** [name] is without the top folder: `data.pkl`, `code/__torch__/net.py`. */
internal class TorchRecord(val name: String, val bytes: Bytes)

internal fun refuseArchive(why: String): Nothing = unsafe("TorchScript archive: $why")

private fun cursor(bytes: Bytes) = Cursor(bytes) { refuseArchive("a header is cut off") }

private fun Cursor.expect(size: Int, value: Long, what: String) {
    if (take(size) != value) refuseArchive("$what is not what torch writes")
}

/** The records, in the order of the file. Throws [Unsafe]. */
internal fun readArchive(file: Bytes): List<TorchRecord> {
    val directory = readEnd(file)
    val entries = cursor(file.part(directory.start, directory.start + directory.bytes))
    val contents = cursor(file.part(0, directory.start))
    val records = ArrayList<TorchRecord>()
    val names = HashSet<String>()
    repeat(directory.records) {
        val header = readCentral(entries)
        if (header.offset != contents.at.toLong()) header.refuse("does not begin where the record before it ends")
        val data = readLocal(contents, header)
        if (data.crc32() != header.crc) header.refuse("has a CRC-32 other than its header says")
        // torch looks names up without regard to upper and lower case.
        if (!names.add(header.name.lowercase())) header.refuse("appears twice")
        records += TorchRecord(header.name, data)
    }
    if (entries.left != 0) refuseArchive("its directory has more than its records")
    if (contents.left != 0) refuseArchive("it has data between its records and its directory")
    return withoutFolder(records)
}

private fun withoutFolder(records: List<TorchRecord>): List<TorchRecord> {
    val folder = records.firstOrNull()?.name?.substringBefore('/', "").orEmpty()
    return records.map { record ->
        val at = record.name.indexOf('/')
        if (at <= 0) refuseArchive("${quoted(record.name)} is not in a folder")
        if (record.name.substring(0, at) != folder) refuseArchive("${quoted(record.name)} is in a different folder")
        TorchRecord(record.name.substring(at + 1), record.bytes)
    }
}

private class TorchDirectory(val records: Int, val bytes: Int, val start: Int)

/**
 * The three records at the end, which must be the last bytes of the file: no comment, and nothing
 * that another reader could take for the end.
 */
private fun readEnd(file: Bytes): TorchDirectory {
    val start = file.size - END - LOCATOR - END64
    if (start < 0) refuseArchive("it is too short")
    val end = cursor(file.part(start))
    end.expect(4, 0x06064b50, "the 64-bit end record")
    end.expect(8, END64 - 12L, "the 64-bit end record")
    end.expect(4, 0x002d031e, "the end record's version")
    end.expect(8, 0, "the number of disks")
    val records = end.take(8)
    end.expect(8, records, "the number of records")
    val bytes = end.take(8)
    val offset = end.take(8)
    end.expect(4, 0x07064b50, "the end locator")
    end.expect(4, 0, "the number of disks")
    end.expect(8, start.toLong(), "the place of the end record")
    end.expect(4, 1, "the number of disks")
    end.expect(4, 0x06054b50, "the end record")
    end.expect(4, 0, "the number of disks")
    repeat(2) { end.expect(2, narrow(records, NONE16), "the end record") }
    end.expect(4, narrow(bytes, NONE32), "the end record")
    end.expect(4, narrow(offset, NONE32), "the end record")
    end.expect(2, 0, "a comment's length")
    if (offset !in 0..start || bytes != start - offset) {
        refuseArchive("its directory does not end where the end record begins")
    }
    if (records !in 0..MAX_RECORDS) refuseArchive("it has more than 1,048,576 records")
    return TorchDirectory(records.toInt(), bytes.toInt(), offset.toInt())
}

private fun narrow(value: Long, none: Long): Long = if (value in 0 until none) value else none

/** [wide] is the extra field of 64-bit numbers. */
private class Header(
    val name: String, val version: Long, val flags: Long, val method: Long, val time: Long, val crc: Long,
    val packed: Long, val size: Long, val offset: Long, val wide: Bytes?,
) {
    fun refuse(why: String): Nothing = refuseArchive("${quoted(name)} $why")
}

/** Zip64's numbers, for those that did not fit, beside torch's padding ("FB", length, "ZZZ..."). */
private fun wideOf(bytes: Bytes): Bytes? {
    val extra = cursor(bytes)
    var wide: Bytes? = null
    while (extra.left > 0) {
        val id = extra.take(2)
        val content = extra.takeBytes(extra.take(2))
        if (id == 0x4246L) {
            if (!content.all { it == 'Z'.code }) refuseArchive("its padding hides data")
            continue
        }
        if (id != 1L || content.size == 0 || wide != null) {
            refuseArchive("a record has an extra field that is unknown or repeated")
        }
        wide = content
    }
    return wide
}

private fun readCentral(directory: Cursor): Header {
    directory.expect(4, 0x02014b50, "a record's entry in the directory")
    directory.expect(2, 0, "a record's version")
    val (version, flags, method) = List(3) { directory.take(2) }
    val (time, crc, packed, size) = List(4) { directory.take(4) }
    val nameLength = directory.take(2)
    val extraLength = directory.take(2)
    directory.expect(2, 0, "a comment's length")
    directory.expect(2, 0, "the number of disks")
    directory.expect(6, 0, "a record's attributes")
    val offset = directory.take(4)
    val name = directory.takeBytes(nameLength).text()
    val wide = wideOf(directory.takeBytes(extraLength))
    val numbers = cursor(wide ?: Bytes(ByteArray(0)))
    fun widened(value: Long): Long = if (value == NONE32) numbers.take(8) else value
    val (fullSize, fullPacked, fullOffset) = listOf(size, packed, offset).map(::widened)
    if (numbers.left != 0) refuseArchive("a record's 64-bit sizes are not what torch writes")
    return Header(name, version, flags, method, time, crc, fullPacked, fullSize, fullOffset, wide)
}

/** The local header, the data and the descriptor behind it; gives the data. */
private fun readLocal(file: Cursor, central: Header): Bytes {
    file.expect(4, 0x04034b50, "what stands before a record")
    val (version, flags, method) = List(3) { file.take(2) }
    val time = file.take(4)
    val numbers = List(3) { file.take(4) }
    val nameLength = file.take(2)
    val extraLength = file.take(2)
    val name = file.takeBytes(nameLength).text()
    val wide = wideOf(file.takeBytes(extraLength))
    val isSame = name == central.name && version == central.version && flags == central.flags &&
        method == central.method && time == central.time && sameWide(wide, central.wide)
    if (!isSame) central.refuse("differs between its own header and the directory")
    if (central.method != 0L || central.packed != central.size) {
        central.refuse("is compressed; write it with the pipeline, which does not")
    }
    val isDescribed = central.flags == UTF8 or DESCRIPTOR
    if (!isDescribed && (central.flags != UTF8 || central.size != 0L || central.crc != 0L)) {
        central.refuse("has flags that torch does not write")
    }
    if (numbers.any { it != 0L }) central.refuse("has sizes before it as well as behind it")
    val data = file.takeBytes(central.size)
    if (isDescribed) expectDescriptor(file, central)
    return data
}

private fun expectDescriptor(file: Cursor, central: Header) {
    val width = if (central.wide == null) 4 else 8
    file.expect(4, 0x08074b50, "what stands behind a record")
    file.expect(4, central.crc, "the CRC behind a record")
    file.expect(width, central.packed, "the size behind a record")
    file.expect(width, central.size, "the size behind a record")
}

// The packed size, the second number, was not known yet when torch wrote the record's own header.
private fun sameWide(local: Bytes?, central: Bytes?): Boolean {
    if (local == null || central == null) return local == null && central == null
    if (local.size != central.size || local.size < 8) return false
    if (local.size < 16) return local.part(0, 8).sameAs(central.part(0, 8))
    return local.part(0, 8).sameAs(central.part(0, 8)) && local.part(8, 16).all { it == 0 } &&
        local.part(16).sameAs(central.part(16))
}
