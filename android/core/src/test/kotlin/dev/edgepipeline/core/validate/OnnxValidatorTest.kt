package dev.edgepipeline.core.validate

import dev.edgepipeline.core.repository
import org.junit.Test
import java.io.File
import kotlin.test.assertTrue

/** The cases of cpp_runner/tests/bundle/test_validate_onnx.cpp: the two readers say the same. */
class OnnxValidatorTest {
    private fun tensor(type: Long, dims: List<Long>, data: String = ""): String =
        onnxSays(onnx(initializer(number(2, type) + text(8, "w") + dims.joinToString("") { number(1, it) } + data)))

    private fun raw(size: Int) = text(9, "\u0001".repeat(size))

    @Test
    fun `real files are taken`() {
        val files = listOf("tests/golden/bundle-v1/artifacts", "cpp_runner/tests/fuzz/corpus/validate_onnx")
            .flatMap { File(repository, it).listFiles().orEmpty().toList() }.filter { it.extension == "onnx" }
        assertTrue(files.size >= 2)
        for (file in files) assertSays(ACCEPTED, says { validateOnnx(Bytes(file.readBytes())) }, file)
        assertSays(ACCEPTED, onnxSays(onnx()))
    }

    @Test
    fun `what is no protobuf`() {
        assertSays("empty", onnxSays(""))
        assertSays("a number is cut off", onnxSays("\u0008"))
        assertSays("wire type", onnxSays("\u003a\u0005graph")) // 'g' begins a group
        assertSays("longer than what holds it", onnxSays(onnx() + "\u003a\u007f"))
        assertSays("number is out of range", onnxSays("\u0000\u0000"))
        assertSays("cut off", onnxSays("\u0008" + "\u00ff".repeat(9) + "\u0002"))
        assertSays("tag is cut off", onnxSays("\u00ff".repeat(9) + "\u007f"))
    }

    @Test
    fun `fields that the format has not`() {
        assertSays("ModelProto has no field 99", onnxSays(onnx("", number(99, 1))))
        assertSays("producer_name is of another kind", onnxSays(onnx("", number(2, 1))))
        assertSays("ir_version appears twice", onnxSays(onnx("", number(1, 8))))
        assertSays("graph appears twice", onnxSays(onnx("", text(7, text(2, "g")))))
        assertSays("it has functions", onnxSays(onnx("", text(25, text(1, "f")))))
        assertSays("it has sparse_initializer", onnxSays(onnx(text(15, text(1, "s")))))
    }

    @Test
    fun `versions and domains`() {
        assertSays("ir_version is 0", onnxSays(text(7, "")))
        assertSays("imports no version", onnxSays(number(1, 8) + text(7, "")))
        assertSays("it has no graph", onnxSays(number(1, 8)))
        assertSays("ir_version is 101", onnxSays(number(1, 101) + text(7, "")))
        fun imports(domain: String, version: Long) = onnxSays(onnx("", text(8, text(1, domain) + number(2, version))))
        assertSays(ACCEPTED, imports("com.microsoft", 1))
        assertSays("imports version 0 of 'com.microsoft'", imports("com.microsoft", 0))
        assertSays("unknown domain 'evil'", imports("evil", 1))
        assertSays("imports the domain '' twice", imports("ai.onnx", 17))
    }

    @Test
    fun operators() {
        fun says(domain: String, type: String) = onnxSays(onnx(node(text(4, type) + text(7, domain) + text(3, "n"))))
        assertSays(ACCEPTED, says("", "Conv"))
        assertSays(ACCEPTED, says("com.microsoft", "QLinearAdd"))
        assertSays("graph 'main'.node[1] 'n': it has no op_type", says("", ""))
        assertSays("'Conv' is of the domain 'evil'", says("evil", "Conv"))
        assertSays("'EPContext' is not one", says("com.microsoft", "EPContext"))
        assertSays("domain 'ai.onnx.ml'", says("ai.onnx.ml", "ZipMap"))
    }

    @Test
    fun `graphs within graphs`() {
        val bad = node(text(4, "Conv") + text(7, "evil"))
        val attribute = text(1, "body") + number(20, 5) + text(6, bad + text(2, "loop"))
        val said = onnxSays(onnx(node(text(4, "Loop") + text(5, attribute))))
        assertSays("graph 'main'.node[1].attribute[0] 'body'.g 'loop'.node[0]: ", said)
    }

    @Test
    fun depth() {
        var graph = text(2, "inmost")
        repeat(40) { graph = node(text(4, "If") + text(5, text(6, graph))) }
        assertSays("nested more than 64 messages deep", onnxSays(onnx(graph)))
        var type = ""
        repeat(40) { type = text(4, text(1, type)) }
        assertSays("64 messages deep", onnxSays(onnx(text(11, text(2, type)))))
    }

    @Test
    fun `data outside the file`() {
        val place = text(13, text(1, "location") + text(2, "/etc/passwd"))
        assertSays("outside the file", tensor(1, listOf(2), raw(8) + place))
        assertSays("outside the file", tensor(1, listOf(2), raw(8) + number(14, 1)))
        assertSays(ACCEPTED, tensor(1, listOf(2), raw(8) + number(14, 0)))
    }

    @Test
    fun `bytes against dims`() {
        assertSays(ACCEPTED, tensor(1, listOf(2, 3), raw(24)))
        assertSays(ACCEPTED, tensor(1, listOf(), raw(4)))
        assertSays(ACCEPTED, tensor(1, listOf(0, 7)))
        assertSays("'w': it has 20 bytes where its dims and type ask for 24", tensor(1, listOf(2, 3), raw(20)))
        assertSays("8 bytes where its dims and type ask for 16", tensor(7, listOf(2), raw(8)))
        assertSays("0 elements where its dims and type ask for 2", tensor(1, listOf(2)))
        assertSays("an axis is negative", tensor(1, listOf(-1), raw(4)))
        assertSays("2^53", tensor(1, listOf(1L shl 31, 1L shl 31, 4), raw(4)))
        assertSays("2^53 bits", tensor(11, listOf(1L shl 50), raw(4)))
        assertSays("its type is 0", tensor(0, listOf(1), raw(4)))
        assertSays("its type is 99", tensor(99, listOf(1), raw(4)))
        assertSays("its type is 18446744073709551615", tensor(-1, listOf(1), raw(4)))
    }

    @Test
    fun `types of less than a byte`() {
        val int4 = 22L
        assertSays(ACCEPTED, tensor(int4, listOf(3), raw(2)))
        assertSays(ACCEPTED, tensor(25, listOf(5), raw(2)))
        assertSays("3 bytes where", tensor(int4, listOf(3), raw(3)))
        assertSays(ACCEPTED, tensor(int4, listOf(3), text(5, "\u0021\u0003")))
        assertSays("3 elements where", tensor(int4, listOf(3), text(5, "\u0001\u0002\u0003")))
    }

    @Test
    fun `numbers and strings are counted`() {
        val zeros = "\u0000".repeat(8)
        assertSays(ACCEPTED, tensor(1, listOf(2), text(4, zeros)))
        assertSays(ACCEPTED, tensor(7, listOf(2), number(7, 1) + number(7, -1)))
        assertSays(ACCEPTED, tensor(10, listOf(2), text(5, "\u0001\u0002")))
        assertSays(ACCEPTED, tensor(14, listOf(1), text(4, zeros)))
        assertSays(ACCEPTED, tensor(8, listOf(2), text(6, "a") + text(6, "")))
        assertSays("1 elements where", tensor(8, listOf(2), text(6, "a")))
        assertSays("strings stand in its raw_data", tensor(8, listOf(1), raw(1)))
        assertSays("the field of another type", tensor(1, listOf(1), number(7, 1)))
        assertSays("both raw_data and numbers", tensor(7, listOf(1), number(7, 1) + raw(8)))
        assertSays("int64_data is of another kind", tensor(7, listOf(1), text(7, "\u00ff")))
        assertSays("float_data is of another kind", tensor(1, listOf(1), text(4, "abc")))
    }

    @Test
    fun `negative axes of values`() {
        fun value(size: Long): String {
            val shape = text(2, text(1, number(1, size)))
            return onnxSays(onnx(text(11, text(1, "x") + text(2, text(1, number(1, 1) + shape)))))
        }
        assertSays(ACCEPTED, value(3))
        assertSays("an axis is negative", value(-1))
    }
}
