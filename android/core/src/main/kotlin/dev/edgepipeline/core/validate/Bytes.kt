package dev.edgepipeline.core.validate

/** A part of a file in memory: nothing is copied. */
internal class Bytes(private val array: ByteArray, private val from: Int = 0, private val to: Int = array.size) {
    val size: Int get() = to - from

    /** The byte at [index], 0 to 255. */
    operator fun get(index: Int): Int = array[from + index].toInt() and 0xff

    fun part(start: Int, end: Int = size): Bytes {
        require(start in 0..end && end <= size)
        return Bytes(array, from + start, from + end)
    }

    /** A character for each byte, so that what is no UTF-8 can be looked at, too. */
    fun text(): String = String(array, from, size, Charsets.ISO_8859_1)

    fun all(test: (Int) -> Boolean): Boolean = (0 until size).all { test(get(it)) }

    fun sameAs(other: Bytes): Boolean = size == other.size && (0 until size).all { get(it) == other[it] }

    fun says(word: String): Boolean = size == word.length && text() == word

    fun crc32(): Long = java.util.zip.CRC32().apply { update(array, from, size) }.value
}

/** Takes little-endian numbers and bytes off the front of some bytes; [short] is called past their end. */
internal class Cursor(private val bytes: Bytes, private val short: () -> Nothing) {
    var at = 0
        private set

    val left: Int get() = bytes.size - at

    /** A number of [size] bytes, at most 8; of 8 the highest bit becomes the sign. */
    fun take(size: Int): Long {
        val taken = takeBytes(size.toLong())
        var value = 0L
        for (i in size - 1 downTo 0) value = (value shl 8) or taken[i].toLong()
        return value
    }

    fun takeBytes(size: Long): Bytes {
        if (size < 0 || size > left) short()
        val start = at
        at += size.toInt()
        return bytes.part(start, at)
    }
}
