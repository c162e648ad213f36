package dev.edgepipeline.core.validate

import dev.edgepipeline.core.quoted

// The pickles of a TorchScript archive, run as torch's unpickler would, on descriptions of values
// instead of values: nothing is made, and what the archive claims is held against what it has.
// https://docs.python.org/3/library/pickletools.html has the opcodes.

private const val MAX_BYTES = 1 shl 26
private const val MAX_BRACKETS = 64 // in the text of a type, which torch reads by recursion

/** What a pickle may refer to: the rest of its archive. */
internal interface PickleWorld {
    /** Bytes of the record with a tensor's numbers, by its key (`0`); null if there is none. */
    fun storage(key: String): Int?

    /** Whether a qualified name (`__torch__.net.Net`) is of a class that the archive or torch has. */
    fun hasClass(name: String): Boolean
}

/**
 * Throws [Unsafe], its message beginning with [name], unless the pickle is one value, made with the
 * opcodes and functions of torch's own unpickler, whose tensors lie within their storages.
 */
internal fun checkPickle(name: String, bytes: Bytes, world: PickleWorld) {
    if (bytes.size > MAX_BYTES) refuseArchive("${quoted(name)} has more than 64 MiB")
    val machine = PickleMachine(bytes, world)
    try {
        machine.run()
    } catch (fault: PickleFault) {
        refuseArchive("${quoted(name)}, byte ${machine.place}: ${fault.why}")
    }
}

private class PickleMachine(private val bytes: Bytes, private val world: PickleWorld) {
    private val from = Cursor(bytes) { pickleFault("it is cut off") }
    private val stack = PickleStack()

    val place: Int get() = from.at

    fun run() {
        if (from.take(1) != 0x80L || from.take(1) != 2L) pickleFault("it is not a pickle of protocol 2")
        @Suppress("ControlFlowWithEmptyBody")
        while (step(from.take(1).toInt())) {}
        if (from.left != 0) pickleFault("something follows its end")
        if (!stack.isOne) pickleFault("it is more than one value")
        val kind = stack.pop().kind
        if (kind != PickleKind.OBJECT && kind != PickleKind.TUPLE) pickleFault("it is neither an object nor a tuple")
    }

    /** False at the end. */
    private fun step(opcode: Int): Boolean {
        when (opcode) {
            '.'.code -> return false
            '('.code -> stack.pushMark()
            'N'.code -> push(PickleKind.NONE)
            0x88, 0x89 -> push(PickleKind.BOOLEAN)
            'K'.code -> push(PickleKind.INTEGER, from.take(1))
            'M'.code -> push(PickleKind.INTEGER, from.take(2))
            'J'.code -> push(PickleKind.INTEGER, from.take(4).toInt().toLong())
            0x8a -> pushLong()
            'G'.code -> pushReal()
            'X'.code -> pushText()
            ')'.code -> stack.makeTuple(0)
            't'.code -> stack.makeTuple()
            0x85, 0x86, 0x87 -> stack.makeTuple(opcode - 0x84)
            ']'.code -> stack.pushContainer(PickleKind.LIST)
            '}'.code -> stack.pushContainer(PickleKind.DICT)
            'e'.code -> stack.fill(PickleKind.LIST)
            'u'.code -> stack.fill(PickleKind.DICT)
            'q'.code -> stack.keep(from.take(1))
            'r'.code -> stack.keep(from.take(4))
            'h'.code -> stack.recall(from.take(1))
            'j'.code -> stack.recall(from.take(4))
            'c'.code -> pushGlobal()
            'Q'.code -> pushStorage()
            'R'.code -> reduce(isBuild = false)
            'b'.code -> reduce(isBuild = true)
            0x81 -> newObject()
            else -> pickleFault("opcode $opcode is not one that torch writes")
        }
        return true
    }

    private fun push(kind: PickleKind, number: Long = 0) = stack.push(PickleValue(kind, number))

    private fun pushLong() {
        if (from.take(1) != 8L) pickleFault("an integer does not have 8 bytes")
        push(PickleKind.INTEGER, from.take(8))
    }

    private fun pushReal() {
        from.takeBytes(8)
        push(PickleKind.REAL)
    }

    private fun pushText() {
        stack.push(PickleValue(PickleKind.TEXT, text = from.takeBytes(from.take(4))))
    }

    private fun takeLine(): String {
        var end = from.at
        while (end < bytes.size && bytes[end] != '\n'.code) end++
        if (end == bytes.size) pickleFault("a name has no end")
        return from.takeBytes(end + 1L - from.at).text().dropLast(1)
    }

    private fun pushGlobal() {
        val module = takeLine()
        val name = "$module.${takeLine()}"
        val known = pickleGlobal(name)
        if (known != null) return stack.push(known)
        if (!world.hasClass(name)) pickleFault("it asks for ${quoted(name)}, which is not allowed")
        push(PickleKind.TYPE)
    }

    /** ("storage", type, key, "cpu", elements) */
    private fun pushStorage() {
        val tuple = stack.pop()
        if (tuple.kind != PickleKind.TUPLE || tuple.items.size != 5) {
            pickleFault("a storage is not described by five values")
        }
        val (word, type, key, device, count) = tuple.items
        val isStorage = word.says("storage") && type.kind == PickleKind.STORAGE_TYPE && key.kind == PickleKind.TEXT
        if (!isStorage || !device.says("cpu") || count.kind != PickleKind.INTEGER || count.number < 0) {
            pickleFault("a storage is malformed, or not on the CPU")
        }
        val name = key.text?.text().orEmpty()
        val size = world.storage(name) ?: pickleFault("there is no storage ${quoted(name)}")
        if (size % type.number != 0L || size / type.number != count.number) {
            val has = "the storage ${quoted(name)} has $size bytes"
            pickleFault("$has and not ${count.number} elements of ${type.number}")
        }
        push(PickleKind.STORAGE, count.number)
    }

    /** torch does the same for both: an instance of a class is built of its state, a function called. */
    private fun reduce(isBuild: Boolean) {
        val argument = stack.pop()
        val callee = stack.pop()
        if (callee.kind == PickleKind.TYPE) {
            stack.push(PickleValue(PickleKind.OBJECT, depth = argument.depth + 1))
        } else if (callee.function != null && !isBuild) {
            stack.push(call(callee.function, argument))
        } else {
            pickleFault("it calls something that is not a function")
        }
    }

    /** NEWOBJ takes the class's arguments, of which there are none, and leaves the class: BUILD makes the object. */
    private fun newObject() {
        val arguments = stack.pop()
        if (arguments.kind != PickleKind.TUPLE || arguments.items.isNotEmpty()) pickleFault("an object has arguments")
    }
}

private fun call(function: PickleFunction, arguments: PickleValue): PickleValue {
    if (arguments.kind != PickleKind.TUPLE) pickleFault("a function is called without a tuple")
    fun made(kind: PickleKind) = PickleValue(kind, depth = arguments.depth)
    return when (function) {
        PickleFunction.ORDERED_DICT -> { // of hooks, of which there are none
            if (arguments.items.isNotEmpty()) pickleFault("a tensor has hooks")
            made(PickleKind.NONE)
        }
        PickleFunction.LIST_OF -> {
            if (only(arguments, 1).kind != PickleKind.LIST) pickleFault("a list is made from something else")
            made(PickleKind.LIST)
        }
        PickleFunction.TYPE_TAG -> made(tagged(arguments))
        PickleFunction.COMPLEX -> {
            if (only(arguments, 2).kind != PickleKind.REAL) pickleFault("a complex number is malformed")
            made(PickleKind.REAL)
        }
        PickleFunction.TENSOR -> rebuildTensor(arguments, isQuantized = false)
        PickleFunction.QUANTIZED_TENSOR -> rebuildTensor(arguments, isQuantized = true)
    }
}

/** The first of so many values. */
private fun only(arguments: PickleValue, count: Int): PickleValue {
    if (arguments.items.size != count) pickleFault("a function is called with too few or too many values")
    return arguments.items[0]
}

private fun tagged(arguments: PickleValue): PickleKind {
    val kind = only(arguments, 2).kind
    val type = arguments.items[1]
    val isContainer = kind == PickleKind.LIST || kind == PickleKind.DICT
    if (!isContainer || type.text == null || mostBrackets(type.text) > MAX_BRACKETS) {
        pickleFault("a type is malformed, or given to something other than a list or dict")
    }
    return kind
}

private fun mostBrackets(text: Bytes): Int {
    var open = 0
    var most = 0
    for (i in 0 until text.size) {
        val c = text[i].toChar()
        if (c == '[' || c == '(') most = maxOf(most, ++open)
        if ((c == ']' || c == ')') && open > 0) open--
    }
    return most
}
