package dev.edgepipeline.core.validate

import dev.edgepipeline.core.quoted

private const val MAX_DEPTH = 64 // protobuf itself stops at 100
private const val MAX_MESSAGES = 1 shl 22 // the largest of timm's models have some 50,000
private const val MAX_IR = 100L // far beyond what a runtime takes, which says so itself
private const val MAX_OPSET = 1000L

/** Walks all messages of an ONNX file by [Message]'s rules. Throws [Unsafe]. */
internal fun validateOnnx(file: Bytes) {
    if (file.size == 0) unsafe("it is no ONNX model: it is empty")
    OnnxValidator().walk(Message.MODEL, file)
}

/** Depth is counted, what is counted is bounded, and a place is spelt out only where something is refused. */
private class OnnxValidator {
    private class Step(val rule: Rule, val bytes: Bytes, val index: Int)

    private val path = ArrayList<Step>()
    private var messages = 0

    fun walk(message: Message, bytes: Bytes) {
        if (++messages > MAX_MESSAGES) refuse("the file has more than 4,194,304 messages")
        if (path.size > MAX_DEPTH) refuse("it is nested more than 64 messages deep")
        var seen = 0L
        val counts = IntArray(32)
        for (field in fieldsOf(bytes)) {
            val rule = message.rule(field.number) ?: refuse("${message.title} has no field ${field.number}")
            check(rule, field)
            val bit = 1L shl field.number
            if (!rule.isRepeated && rule.kind != Kind.REFUSED && seen and bit != 0L) {
                refuse("the field ${rule.name} appears twice")
            }
            seen = seen or bit
            val inner = rule.message ?: continue
            path += Step(rule, field.bytes, counts[field.number]++)
            walk(inner, field.bytes)
            path.removeAt(path.size - 1)
        }
        checkWhole(message, bytes)
    }

    private fun check(rule: Rule, field: Field) {
        if (rule.kind == Kind.REFUSED) {
            if (field.wire == Wire.BYTES && field.bytes.size == 0) return
            val isData = rule.name == "external_data"
            refuse(
                if (isData) "its data is outside the file; pack the model with its data inside"
                else "it has ${rule.name}, which this app does not take",
            )
        }
        if (!fits(rule.kind, field)) refuse("the field ${rule.name} is of another kind")
    }

    // Repeated numbers come one by one or packed into one field.
    private fun fits(kind: Kind, field: Field): Boolean {
        val isPacked = field.wire == Wire.BYTES
        return when (kind) {
            Kind.NUMBERS -> field.wire == Wire.VARINT || (isPacked && countVarints(field.bytes) != null)
            Kind.FLOATS -> field.wire == Wire.FIXED32 || (isPacked && field.bytes.size % 4 == 0)
            Kind.DOUBLES -> field.wire == Wire.FIXED64 || (isPacked && field.bytes.size % 8 == 0)
            Kind.NUMBER -> field.wire == Wire.VARINT
            Kind.FLOAT32 -> field.wire == Wire.FIXED32
            else -> isPacked
        }
    }

    private fun checkWhole(message: Message, bytes: Bytes) {
        when (message) {
            Message.MODEL -> checkModel(bytes)
            Message.NODE -> checkNode(bytes)
            Message.TENSOR -> wrongWithTensor(bytes)?.let(::refuse)
            Message.DIMENSION -> if (fieldsOf(bytes).any { it.number == 1 && it.value < 0 }) refuse("an axis is negative")
            else -> Unit
        }
    }

    private fun checkModel(bytes: Bytes) {
        val fields = fieldsOf(bytes).toList()
        val domains = HashSet<String>()
        fields.filter { it.number == 8 }.forEach { checkImport(it.bytes, domains) }
        val ir = numberIn(fields.asSequence(), 1)
        if (ir !in 1..MAX_IR) refuse("ir_version is ${ir.toULong()}")
        if (fields.none { it.number == 7 }) refuse("it has no graph")
        if ("" !in domains) refuse("it imports no version of the standard operators")
    }

    private fun checkImport(bytes: Bytes, domains: MutableSet<String>) {
        val version = numberIn(fieldsOf(bytes), 2)
        val named = textIn(bytes, 1)
        if (!Operators.isKnownDomain(named)) refuse("it imports the unknown domain ${quoted(named)}")
        val domain = if (named == "ai.onnx") "" else named
        if (!domains.add(domain)) refuse("it imports the domain ${quoted(domain)} twice")
        if (version !in 1..MAX_OPSET) refuse("it imports version ${version.toULong()} of ${quoted(domain)}")
    }

    private fun checkNode(bytes: Bytes) {
        val type = textIn(bytes, 4)
        val domain = textIn(bytes, 7)
        if (type.isEmpty()) refuse("it has no op_type")
        if (domain.isEmpty() || domain == "ai.onnx") return
        if (domain != "com.microsoft") {
            refuse("the operator ${quoted(type)} is of the domain ${quoted(domain)}, which this app does not take")
        }
        if (!Operators.isAllowedOfMicrosoft(type)) refuse("com.microsoft's operator ${quoted(type)} is not one that this app supports")
    }

    /** `graph.node[3] 'conv1'.attribute[0] 'value'.t: ...` */
    private fun refuse(why: String): Nothing {
        val place = path.joinToString(".") { step ->
            val index = if (step.rule.isRepeated) "[${step.index}]" else ""
            val name = nameIn(step)
            step.rule.name + index + if (name.isEmpty()) "" else " ${quoted(name)}"
        }
        unsafe(if (place.isEmpty()) why else "$place: $why")
    }

    // The bytes were not all looked at yet, and need not be well-formed.
    private fun nameIn(step: Step): String = try {
        step.rule.message?.nameField?.let { textIn(step.bytes, it) }.orEmpty()
    } catch (_: Unsafe) {
        ""
    }
}

private fun numberIn(fields: Sequence<Field>, number: Int): Long = fields.lastOrNull { it.number == number }?.value ?: 0

private fun textIn(message: Bytes, number: Int): String =
    fieldsOf(message).find { it.number == number && it.wire == Wire.BYTES }?.bytes?.text().orEmpty()
