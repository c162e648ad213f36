package dev.edgepipeline.jvm

import dev.edgepipeline.core.DType
import dev.edgepipeline.core.Node
import dev.edgepipeline.core.Tensor
import dev.edgepipeline.core.parseJson
import dev.edgepipeline.core.toJson
import java.io.DataInputStream
import java.io.EOFException
import java.io.InputStream
import java.io.OutputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Frames of `edge-runner exec`: 4 bytes of length, JSON, then the numbers of its `tensors`. */
internal class Frames(input: InputStream, private val output: OutputStream) {
    private val input = DataInputStream(input)

    /** The tensors of the next frame; null where the input ends between two. */
    fun read(): List<Tensor>? {
        val first = input.read()
        if (first < 0) return null
        val rest = exactly(3)
        val length = little(byteArrayOf(first.toByte(), *rest)).int
        val header = Node(parseJson(exactly(length)))
        return header["tensors"].items { tensor ->
            val dtype = tensor["dtype"].oneOf(DType.entries)
            val shape = tensor["shape"].items { it.integer() }
            val bytes = shape.fold(dtype.bytes.toLong(), Math::multiplyExact)
            Tensor(dtype, shape, exactly(Math.toIntExact(bytes)))
        }
    }

    fun write(header: Map<String, Any?>, tensors: List<Tensor> = emptyList()) {
        val listed = tensors.map { mapOf("dtype" to it.dtype.word, "shape" to it.shape) }
        val json = toJson(header + mapOf("tensors" to listed)).toByteArray()
        output.write(little(ByteArray(4)).putInt(json.size).array())
        output.write(json)
        tensors.forEach { output.write(it.data) }
        output.flush()
    }

    private fun exactly(count: Int): ByteArray {
        if (count < 0) throw EOFException("a frame of $count bytes")
        return ByteArray(count).also(input::readFully)
    }

    private fun little(bytes: ByteArray): ByteBuffer = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
}
