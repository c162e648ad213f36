package dev.edgepipeline.core.validate

import java.util.zip.CRC32
import kotlin.test.assertEquals
import kotlin.test.assertTrue

// Hand-made model files, right and wrong. A character of a text is a byte.

internal const val ACCEPTED = "accepted"

internal fun String.bytes(): ByteArray = toByteArray(Charsets.ISO_8859_1)

/** The reason of the refusal, or [ACCEPTED]. */
internal fun says(look: () -> Unit): String = try {
    look()
    ACCEPTED
} catch (found: Unsafe) {
    found.why
}

internal fun onnxSays(file: String): String = says { validateOnnx(Bytes(file.bytes())) }

internal fun torchSays(file: String): String = says { validateTorchScript(Bytes(file.bytes())) }

internal fun torchSays(zip: Zip): String = torchSays(zip.file())

/** What is said is [ACCEPTED], or has [wanted] in it. */
internal fun assertSays(wanted: String, said: String, what: Any = "") =
    if (wanted == ACCEPTED) assertEquals(ACCEPTED, said, "$what") else assertTrue(wanted in said, "$what: $said")

private fun varint(value: Long): String {
    val low = (value and 0x7f).toInt()
    val rest = value ushr 7
    return if (rest == 0L) low.toChar().toString() else (low or 0x80).toChar() + varint(rest)
}

/** A field of a protobuf message. */
internal fun number(field: Int, value: Long): String = varint(field.toLong() shl 3) + varint(value)

internal fun text(field: Int, value: String): String =
    varint((field.toLong() shl 3) or 2) + varint(value.length.toLong()) + value

/** A graph's fields. */
internal fun node(fields: String): String = text(1, fields)

internal fun initializer(fields: String): String = text(5, fields)

/** An ONNX model with one Identity; [graph] and [model] are further fields of those messages. */
internal fun onnx(graph: String = "", model: String = ""): String {
    val identity = node(text(1, "x") + text(2, "y") + text(4, "Identity"))
    val imports = text(8, text(1, "") + number(2, 18))
    return number(1, 8) + imports + text(7, identity + text(2, "main") + graph) + model
}

internal fun little(value: Long, size: Int): String =
    (0 until size).joinToString("") { ((value shr (8 * it)) and 0xff).toInt().toChar().toString() }

/** A zip archive as torch writes it; what is set otherwise makes it wrong. */
internal class Record(
    var name: String, var data: String,
    var crc: Long = 0, // added to the right one
    var behind: Long = 0, // added to the size behind the data
    var method: Long = 0,
    var localName: String? = null, // where another one stands in the record's own header
    var padding: String = "ZZ",
)

internal class Zip(val records: MutableList<Record>, var beforeDirectory: String = "", var comment: String = "") {
    fun record(name: String): Record = records.first { it.name == name }

    fun file(): String {
        val contents = StringBuilder()
        val directory = StringBuilder()
        for (record in records) {
            directory.append(central(record, contents.length))
            contents.append(local(record))
        }
        contents.append(beforeDirectory)
        return contents.toString() + directory + end(directory.length.toLong(), contents.length.toLong())
    }

    private fun what(record: Record) =
        little(if (record.data.isEmpty()) 0x800 else 0x808, 2) + little(record.method, 2) + little(0, 4)

    private fun crcOf(record: Record) = CRC32().apply { update(record.data.bytes()) }.value + record.crc

    private fun central(record: Record, offset: Int): String {
        val name = "net/${record.name}"
        val size = little(record.data.length.toLong(), 4)
        return "PK\u0001\u0002" + little(0, 4) + what(record) + little(crcOf(record), 4) + size + size +
            little(name.length.toLong(), 2) + little(0, 12) + little(offset.toLong(), 4) + name
    }

    private fun local(record: Record): String {
        val name = "net/${record.localName ?: record.name}"
        val padding = "FB" + little(record.padding.length.toLong(), 2) + record.padding
        val size = little(record.data.length + record.behind, 4)
        val behind = if (record.data.isEmpty()) "" else "PK\u0007\u0008" + little(crcOf(record), 4) + size + size
        return "PK\u0003\u0004" + little(0, 2) + what(record) + little(0, 12) + little(name.length.toLong(), 2) +
            little(padding.length.toLong(), 2) + name + padding + record.data + behind
    }

    private fun end(directory: Long, start: Long): String {
        val count = records.size.toLong()
        return "PK\u0006\u0006" + little(44, 8) + little(0x2d031e, 4) + little(0, 8) + little(count, 8) +
            little(count, 8) + little(directory, 8) + little(start, 8) +
            "PK\u0006\u0007" + little(0, 4) + little(start + directory, 8) + little(1, 4) +
            "PK\u0005\u0006" + little(0, 4) + little(count, 2) + little(count, 2) + little(directory, 4) +
            little(start, 4) + little(comment.length.toLong(), 2) + comment
    }
}

/** A module without parameters, whose only code is this text. */
internal fun torchscript(code: String) = Zip(
    mutableListOf(
        Record("byteorder", "little"),
        Record("code/__torch__.py", code),
        Record("constants.pkl", "\u0080\u0002)."),
        Record("data.pkl", "\u0080\u0002c__torch__\nNet\n)\u0081}(ub."),
        Record("version", "3\n"),
    ),
)

/** A module whose forward is this line. */
internal fun module(line: String): Zip = torchscript(
    "class Net(Module):\n  __parameters__ = []\n  __buffers__ = []\n" +
        "  def forward(self: __torch__.Net,\n    x: Tensor) -> Tensor:\n    $line\n    return x\n",
)
