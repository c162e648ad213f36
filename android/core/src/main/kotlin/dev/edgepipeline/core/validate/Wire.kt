package dev.edgepipeline.core.validate

// Protobuf's wire format, read field by field and never copied.
// https://protobuf.dev/programming-guides/encoding

/** The kinds of the format. 3 and 4, groups, are of no file that anyone still writes. */
internal enum class Wire { VARINT, FIXED64, BYTES, FIXED32 }

/** [value] of a varint, 64 bits of which the highest is the sign; [bytes] of the other kinds. */
internal class Field(val number: Int, val wire: Wire, val value: Long, val bytes: Bytes)

private const val MAX_FIELD = (1L shl 29) - 1

/** The fields of a message, in their order. Throws [Unsafe] where the bytes are none. */
internal fun fieldsOf(message: Bytes): Sequence<Field> = sequence {
    val reader = VarintReader(message)
    while (!reader.isAtEnd) yield(nextField(reader))
}

private fun nextField(reader: VarintReader): Field {
    val tag = reader.take() ?: noProtobuf("a tag is cut off")
    val number = tag ushr 3
    if (number !in 1..MAX_FIELD) noProtobuf("a field's number is out of range")
    val wire = when ((tag and 7).toInt()) {
        0 -> Wire.VARINT
        1 -> Wire.FIXED64
        2 -> Wire.BYTES
        5 -> Wire.FIXED32
        else -> noProtobuf("a field has a wire type that is none")
    }
    if (wire == Wire.VARINT) {
        val value = reader.take() ?: noProtobuf("a number is cut off")
        return Field(number.toInt(), wire, value, NOTHING)
    }
    val length = when (wire) {
        Wire.FIXED64 -> 8
        Wire.FIXED32 -> 4
        else -> reader.take() ?: noProtobuf("a length is cut off")
    }
    val bytes = reader.takeBytes(length) ?: noProtobuf("a field is longer than what holds it")
    return Field(number.toInt(), wire, 0, bytes)
}

private val NOTHING = Bytes(ByteArray(0))

private fun noProtobuf(why: String): Nothing = unsafe("it is no ONNX model: $why")

/** Varints off the front of some bytes; null where none of at most 64 bits is there. */
internal class VarintReader(private val bytes: Bytes) {
    private var at = 0

    val isAtEnd: Boolean get() = at == bytes.size

    fun take(): Long? {
        var value = 0L
        for (shift in 0..63 step 7) {
            if (isAtEnd) return null
            val byte = bytes[at]
            if (shift == 63 && byte > 1) return null // the tenth byte has one bit left
            at++
            value = value or ((byte and 0x7f).toLong() shl shift)
            if (byte < 0x80) return value
        }
        return null
    }

    fun takeBytes(length: Long): Bytes? {
        if (length < 0 || length > bytes.size - at) return null
        val start = at
        at += length.toInt()
        return bytes.part(start, at)
    }
}

/** How many varints these bytes are; null unless they are nothing else. */
internal fun countVarints(bytes: Bytes): Long? {
    val reader = VarintReader(bytes)
    var count = 0L
    while (!reader.isAtEnd) {
        reader.take() ?: return null
        count++
    }
    return count
}
