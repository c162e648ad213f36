package dev.edgepipeline.core.validate

/** Thrown where a pickle asks for what is refused; who reads it knows the place. */
internal class PickleFault(val why: String) : Exception(why)

internal fun pickleFault(why: String): Nothing = throw PickleFault(why)

private const val MAX_VALUES = 1 shl 20 // timm's largest model makes some 50,000
private const val MAX_DEPTH = 400 // what torch destroys by recursion; timm's have about 60

/**
 * The stack, the marks and the table of kept values of an unpickler. Throws [PickleFault] where one
 * would take what is not there, or where values are too many or nested too deep.
 */
internal class PickleStack {
    private val stack = ArrayList<PickleValue>()
    private val marks = ArrayList<Int>()
    private val kept = ArrayList<PickleValue>()
    private var made = 0
    private var items = 0

    private val floor: Int get() = marks.lastOrNull() ?: 0

    /** Whether one value is left and no mark. */
    val isOne: Boolean get() = stack.size == 1 && marks.isEmpty()

    fun push(value: PickleValue) {
        if (++made > MAX_VALUES) tooMany()
        if (value.depth > MAX_DEPTH) tooDeep()
        stack += value
    }

    fun pushContainer(kind: PickleKind) = push(PickleValue(kind, depth = 1, isFresh = true))

    fun pushMark() {
        marks += stack.size
    }

    /** The value on top, taken off. */
    fun pop(): PickleValue {
        if (stack.size <= floor) nothingThere()
        return stack.removeAt(stack.size - 1).also { it.isFresh = false }
    }

    /** Of everything above the last mark. */
    fun makeTuple() = makeTupleFrom(takeMark())

    /** Of the last values. */
    fun makeTuple(count: Int) {
        if (stack.size - floor < count) nothingThere()
        makeTupleFrom(stack.size - count)
    }

    private fun makeTupleFrom(from: Int) {
        items += stack.size - from
        if (items > MAX_VALUES) tooMany()
        val depth = enclose(from)
        val above = stack.subList(from, stack.size)
        val tuple = PickleValue(PickleKind.TUPLE, items = ArrayList(above), depth = depth)
        above.clear()
        push(tuple)
    }

    /** Fills the list or dict below the last mark with what is above it. */
    fun fill(kind: PickleKind) {
        val mark = takeMark()
        if (mark <= floor) nothingThere()
        val container = stack[mark - 1]
        if (container.kind != kind) pickleFault("it fills something that is not a list or dict")
        if (kind == PickleKind.DICT && (stack.size - mark) % 2 != 0) pickleFault("a dict has a key without a value")
        if (!container.isFresh) pickleFault("a list or dict is filled after it was used")
        container.depth = enclose(mark)
        container.isFresh = false
        if (container.depth > MAX_DEPTH) tooDeep()
        stack.subList(mark, stack.size).clear()
    }

    /** torch numbers what it keeps one by one; another number would make its table as large. */
    fun keep(index: Long) {
        if (index != kept.size.toLong()) pickleFault("it stores a value under a number that is not the next one")
        if (stack.size <= floor) nothingThere()
        kept += stack.last()
    }

    fun recall(index: Long) {
        if (index >= kept.size) pickleFault("it reads back a value that it has not stored")
        if (stack.size >= MAX_VALUES) tooMany()
        stack += kept[index.toInt()].also { it.isFresh = false }
    }

    // The depth of what will hold everything from there on. A list in it can't be filled any more, or
    // its depth would be another.
    private fun enclose(from: Int): Int {
        var depth = 0
        for (i in from until stack.size) {
            stack[i].isFresh = false
            depth = maxOf(depth, stack[i].depth)
        }
        return depth + 1
    }

    private fun takeMark(): Int {
        if (marks.isEmpty()) pickleFault("it takes a mark where there is none")
        return marks.removeAt(marks.size - 1)
    }

    private fun tooMany(): Nothing = pickleFault("it has more than 1,048,576 values")

    private fun tooDeep(): Nothing = pickleFault("it is nested more than 400 levels deep")

    private fun nothingThere(): Nothing = pickleFault("it takes a value where there is none")
}
