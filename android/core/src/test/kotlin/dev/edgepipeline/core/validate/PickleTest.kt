package dev.edgepipeline.core.validate

import org.junit.Test

private const val BEGIN = "\u0080\u0002"
private const val HOOKS = "ccollections\nOrderedDict\n)R"

/** The cases of cpp_runner/tests/bundle/test_validate_pickle.cpp: pickles written by hand. */
class PickleTest {
    private fun word(value: String) = "X" + little(value.length.toLong(), 4) + value

    private fun byte(value: Int) = "K" + value.toChar()

    // ('storage', type, key, device, elements)
    private fun storage(type: String, elements: Int, key: String = "0", device: String = "cpu") =
        "(" + word("storage") + "ctorch\n$type\n" + word(key) + word(device) + byte(elements) + "tQ"

    private fun tensor(stored: String, offset: Int, size: Int, stride: Int) =
        "ctorch._utils\n_rebuild_tensor_v2\n(" + stored + byte(offset) + byte(size) + "\u0085" + byte(stride) +
            "\u0085\u0089" + HOOKS + "tR"

    /** What is said of a module whose only attribute is made by these opcodes; data/0 has 8 bytes. */
    private fun attribute(opcodes: String, withStorage: Boolean = false): String {
        val zip = torchscript("class Net(Module):\n  a : Tensor\n")
        zip.record("data.pkl").data = BEGIN + "c__torch__\nNet\n)\u0081}(" + word("a") + opcodes + "ub."
        if (withStorage) zip.records += Record("data/0", "\u0001\u0002\u0003\u0004\u0005\u0006\u0007\u0008")
        return torchSays(zip)
    }

    private fun whole(pickle: String): String {
        val zip = torchscript("class Net(Module):\n  a : Tensor\n")
        zip.record("data.pkl").data = pickle
        return torchSays(zip)
    }

    @Test
    fun `what torch writes`() {
        assertSays(ACCEPTED, attribute("N"))
        assertSays(ACCEPTED, attribute("](" + byte(1) + "M\u0001\u0002J\u0001\u0002\u0003\u0004e"))
        assertSays(ACCEPTED, attribute("ctorch.jit._pickle\nbuild_intlist\n](" + byte(1) + "e\u0085R"))
        val dict = "}(" + word("k") + byte(1) + "u" + word("Dict[str, int]")
        assertSays(ACCEPTED, attribute("ctorch.jit._pickle\nrestore_type_tag\n$dict\u0086R"))
        assertSays(ACCEPTED, attribute(tensor(storage("FloatStorage", 2), 0, 2, 1), true))
        assertSays(ACCEPTED, attribute(tensor(storage("LongStorage", 1), 0, 1, 1), true))
    }

    @Test
    fun `functions and classes that torch does not need`() {
        val system = attribute("cposix\nsystem\n" + word("true") + "\u0085R")
        assertSays("'data.pkl', byte 41: it asks for 'posix.system', which is not allowed", system)
        assertSays("'__builtin__.eval'", attribute("c__builtin__\neval\n"))
        assertSays("rref", attribute("ctorch.distributed.rpc\nrref\n"))
        assertSays("'__torch__.Other'", attribute("c__torch__\nOther\n)\u0081}(ub"))
        assertSays("Store", attribute("c__torch__.torch.classes.dist_c10d\nStore\n"))
        assertSays("'torch.Mystery'", attribute("ctorch\nMystery\n"))
        assertSays("calls something that is not a function", attribute(byte(0) + byte(0) + "\u0085R"))
    }

    @Test
    fun `opcodes that torch does not write`() {
        assertSays("protocol 2", whole("\u0080\u0004N."))
        assertSays("cut off", whole(""))
        assertSays("cut off", whole(BEGIN))
        assertSays("neither an object nor a tuple", whole(BEGIN + "N."))
        assertSays("more than one value", whole(BEGIN + "))."))
        assertSays("something follows its end", whole(BEGIN + ").."))
        assertSays("opcode 105", whole(BEGIN + "ios\nsystem\n.")) // INST
        assertSays("opcode 147", attribute("\u0093")) // STACK_GLOBAL
        assertSays("cut off", attribute("X\u00ff\u00ff\u00ff\u00ff"))
    }

    @Test
    fun `what an unpickler would take from nowhere`() {
        assertSays("a mark where there is none", whole(BEGIN + "t."))
        for (opcodes in listOf("\u0085.", "(e.", "q\u0000.", "Q.", "R.")) {
            assertSays("a value where there is none", whole(BEGIN + opcodes), opcodes)
        }
        assertSays("reads back a value that it has not stored", attribute("h\u0007"))
        assertSays("a number that is not the next", attribute("Nr\u00ff\u00ff\u00ff\u00ff"))
        assertSays("a key without a value", attribute("}(Nu"))
        assertSays("fills something that is not a list or dict", attribute("](NNu"))
    }

    @Test
    fun depth() {
        assertSays("more than 400 levels", attribute("N" + "\u0085".repeat(401)))
        // Filled from without, each list would seem shallow.
        assertSays("opcode 48", attribute("]q\u0000](h\u0000e0(Ne"))
        assertSays("filled after it was used", attribute("]q\u0000h\u0000(Ne"))
        val type = word("List" + "[".repeat(65))
        assertSays("a type is malformed", attribute("ctorch.jit._pickle\nrestore_type_tag\n]$type\u0086R"))
        assertSays("1,048,576 values", attribute("](" + "N".repeat(1 shl 20) + "e"))
    }

    @Test
    fun `tensors beyond their storage`() {
        val floats = storage("FloatStorage", 2)
        assertSays("beyond its storage of 2 elements", attribute(tensor(floats, 0, 3, 1), true))
        assertSays("beyond its storage", attribute(tensor(floats, 1, 2, 1), true))
        assertSays("beyond its storage", attribute(tensor(floats, 0, 2, 2), true))
        assertSays("beyond its storage", attribute(tensor(floats, 3, 0, 1), true))
        assertSays(ACCEPTED, attribute(tensor(floats, 2, 0, 1), true))
        fun stored(elements: Int, key: String = "0", device: String = "cpu") =
            attribute(tensor(storage("FloatStorage", elements, key, device), 0, 2, 1), true)
        assertSays("'0' has 8 bytes and not 3 elements of 4", stored(3))
        assertSays("there is no storage '1'", stored(2, "1"))
        assertSays("not on the CPU", stored(2, "0", "cuda:0"))
        assertSays("there is no storage", stored(2, "../../etc/passwd"))
    }

    @Test
    fun `quantized tensors that do not fit`() {
        fun quantized(scheme: String) = attribute(
            "ctorch._utils\n_rebuild_qtensor\n(" + storage("QInt8Storage", 8) + byte(0) + byte(8) + "\u0085" +
                byte(1) + "\u0085" + scheme + "\u0089" + HOOKS + "tR",
            true,
        )
        val scale = "G" + "\u0000".repeat(8)
        assertSays(ACCEPTED, quantized("ctorch\nper_tensor_affine\n" + scale + byte(0) + "\u0087"))
        assertSays("do not fit", quantized("ctorch\nper_tensor_affine\n" + byte(1) + byte(0) + "\u0087"))
        val one = tensor(storage("LongStorage", 1), 0, 1, 1)
        assertSays("do not fit", quantized("(ctorch\nper_channel_affine\n" + one + one + byte(0) + "t"))
        assertSays("do not fit", quantized("(ctorch\nper_channel_affine\n" + one + one + byte(1) + "t"))
    }
}
