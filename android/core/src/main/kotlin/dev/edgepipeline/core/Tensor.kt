package dev.edgepipeline.core

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Element types by the manifest's words. */
enum class DType(override val word: String, val bytes: Int, val isFloat: Boolean = false) : Word {
    BOOL("bool", 1),
    UINT8("uint8", 1),
    INT8("int8", 1),
    INT16("int16", 2),
    INT32("int32", 4),
    INT64("int64", 8),
    FLOAT16("float16", 2, isFloat = true),
    FLOAT32("float32", 4, isFloat = true),
    FLOAT64("float64", 8, isFloat = true),
}

/** Numbers of a [shape], in C order and little-endian; [data] has exactly their bytes. */
class Tensor(val dtype: DType, val shape: List<Long>, val data: ByteArray) {
    init {
        require(data.size.toLong() == dtype.bytes * count(shape)) {
            "$dtype$shape has not ${data.size} bytes"
        }
    }

    /** As 64-bit floats. Integers beyond 2^53 lose their last digits. */
    fun numbers(): DoubleArray {
        val from = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN)
        return DoubleArray(data.size / dtype.bytes) { i ->
            when (dtype) {
                DType.BOOL, DType.UINT8 -> (data[i].toInt() and 0xff).toDouble()
                DType.INT8 -> data[i].toDouble()
                DType.INT16 -> from.getShort(2 * i).toDouble()
                DType.INT32 -> from.getInt(4 * i).toDouble()
                DType.INT64 -> from.getLong(8 * i).toDouble()
                DType.FLOAT16 -> halfToDouble(from.getShort(2 * i))
                DType.FLOAT32 -> from.getFloat(4 * i).toDouble()
                DType.FLOAT64 -> from.getDouble(8 * i)
            }
        }
    }

    /** A copy outside the JVM's heap, for a runtime: every device that this runs on is little-endian, too. */
    fun direct(): ByteBuffer =
        ByteBuffer.allocateDirect(data.size).order(ByteOrder.nativeOrder()).apply { put(data).rewind() }

    fun describe(): String = dtype.word + shape

    companion object {
        fun floats(shape: List<Long>, values: FloatArray): Tensor {
            val buffer = ByteBuffer.allocate(4 * values.size).order(ByteOrder.LITTLE_ENDIAN)
            values.forEach { buffer.putFloat(it) }
            return Tensor(DType.FLOAT32, shape, buffer.array())
        }
    }
}

internal fun count(shape: List<Long>): Long = shape.fold(1L) { product, axis -> product * axis }

// IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction.
internal fun halfToDouble(half: Short): Double {
    val bits = half.toInt() and 0xffff
    val sign = if (bits and 0x8000 != 0) -1.0 else 1.0
    val exponent = (bits shr 10) and 0x1f
    val fraction = bits and 0x3ff
    return sign * when (exponent) {
        0 -> Math.scalb(fraction.toDouble(), -24)
        0x1f -> if (fraction == 0) Double.POSITIVE_INFINITY else Double.NaN
        else -> Math.scalb((0x400 + fraction).toDouble(), exponent - 25)
    }
}
