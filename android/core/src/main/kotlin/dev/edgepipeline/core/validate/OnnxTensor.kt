package dev.edgepipeline.core.validate

// Whether an ONNX TensorProto has as many bytes or numbers as its dims and type ask for.

private const val MAX_AXES = 64
private const val MAX_BITS = 1L shl 53 // as every tensor of a bundle
private const val STRING = 8L

// Bits of an element by TensorProto.DataType, 0 where a reader can't say: undefined, strings, and
// the 6-bit floats, whose packing no runtime agrees upon.
private val BITS = intArrayOf(
    0, 32, 8, 8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64, 64, 128, 16, 8, 8, 8, 8, 4, 4, 4, 8, 2, 2,
)

/** The field that holds the numbers of a type where raw_data doesn't, and how many make an element. */
private class Place(val field: Int, val numbers: Int)

private fun placeOf(type: Long): Place = when (type) {
    1L -> Place(4, 1)
    14L -> Place(4, 2)
    7L -> Place(7, 1)
    STRING -> Place(6, 1)
    11L -> Place(10, 1)
    15L -> Place(10, 2)
    12L, 13L -> Place(11, 1)
    else -> Place(5, 1)
}

private class TensorFacts(message: Bytes) {
    var type = 0L
    var location = 0L
    var wrong: String? = null
    var rawBytes: Int? = null
    val held = LongArray(12) // numbers, by field

    private var product = 1L
    private var axes = 0
    private var hasZero = false
    val elements: Long get() = if (hasZero) 0 else product

    init {
        fieldsOf(message).forEach(::read)
    }

    private fun read(field: Field) {
        when (field.number) {
            1 -> numbersIn(field).forEach(::addAxis)
            2 -> type = field.value
            4 -> held[4] += countOf(field, 4)
            5, 7, 11 -> held[field.number] += if (field.wire == Wire.BYTES) countVarints(field.bytes) ?: 0 else 1
            6 -> held[6]++
            9 -> rawBytes = field.bytes.size
            10 -> held[10] += countOf(field, 8)
            14 -> location = field.value
        }
    }

    private fun countOf(field: Field, size: Int): Long = if (field.wire == Wire.BYTES) field.bytes.size.toLong() / size else 1

    private fun numbersIn(field: Field): Sequence<Long> {
        if (field.wire == Wire.VARINT) return sequenceOf(field.value)
        val reader = VarintReader(field.bytes)
        return generateSequence { reader.take() }
    }

    private fun addAxis(size: Long) {
        if (++axes > MAX_AXES) {
            wrong = "it has more than 64 axes"
        } else if (size < 0) {
            wrong = "an axis is negative"
        } else if (size == 0L) {
            hasZero = true
        } else if (product > MAX_BITS / size) {
            wrong = "its dims are 2^53 elements or more"
        } else {
            product *= size
        }
    }
}

/** What is wrong with it, or null. The kinds of its fields were checked before. */
internal fun wrongWithTensor(message: Bytes): String? {
    val tensor = TensorFacts(message)
    if (tensor.location != 0L) return "its data is outside the file"
    if (tensor.wrong != null) return tensor.wrong
    val bits = if (tensor.type in BITS.indices) BITS[tensor.type.toInt()] else 0
    if (bits == 0 && tensor.type != STRING) return "its type is ${tensor.type.toULong()}, which is none"
    if (bits != 0 && tensor.elements > MAX_BITS / bits) return "its dims are 2^53 bits or more"

    val place = placeOf(tensor.type)
    val held = tensor.held.sum()
    if (held != tensor.held[place.field]) return "its numbers stand in the field of another type"
    val raw = tensor.rawBytes
    if (raw != null) {
        if (tensor.type == STRING) return "strings stand in its raw_data"
        if (held != 0L) return "it has both raw_data and numbers"
        return differs(raw.toLong(), "bytes", (tensor.elements * bits + 7) / 8)
    }
    // Elements of less than a byte are packed into bytes, and each byte is a number.
    val packed = if (bits in 1..7) 8 / bits else 1
    return differs(held, "elements", (tensor.elements * place.numbers + packed - 1) / packed)
}

private fun differs(held: Long, what: String, asked: Long): String? =
    if (held == asked) null else "it has $held $what where its dims and type ask for $asked"
