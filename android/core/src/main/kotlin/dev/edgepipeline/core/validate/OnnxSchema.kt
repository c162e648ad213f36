package dev.edgepipeline.core.validate

// The messages of an ONNX file, as onnx.txt has them.

/** What a field holds. `REFUSED` is a field of the format that no file for this app needs. */
internal enum class Kind { NUMBER, FLOAT32, TEXT, MESSAGE, NUMBERS, FLOATS, DOUBLES, REFUSED }

/** A field; [message] is what it holds, of [Kind.MESSAGE]. */
internal class Rule(val field: Int, val name: String, val kind: Kind, val isRepeated: Boolean, val message: Message?)

internal enum class Message {
    MODEL,
    OPSET,
    ENTRY,
    GRAPH,
    NODE,
    ATTRIBUTE,
    TENSOR,
    ANNOTATION,
    VALUE,
    TYPE,
    TENSOR_TYPE,
    SHAPE,
    DIMENSION,
    SEQUENCE_TYPE,
    MAP_TYPE,
    OPTIONAL_TYPE,
    ;

    val title: String get() = TITLES.getValue(this)

    fun rule(field: Int): Rule? = RULES.getValue(this)[field]

    /** The field that holds a name, for messages. */
    val nameField: Int? get() = RULES.getValue(this).values.find { it.name == "name" }?.field
}

private fun message(name: String) = Message.valueOf(name.uppercase())

private val TITLES: Map<Message, String> = Operators.rows("message").associate { (name, title) -> message(name) to title }

private val RULES: Map<Message, Map<Int, Rule>> = Operators.rows("field")
    .groupBy({ message(it[0]) }) { words ->
        val (field, name, count, kind) = words.drop(1)
        Rule(field.toInt(), name, Kind.valueOf(kind.uppercase()), count == "many", words.getOrNull(5)?.let(::message))
    }
    .mapValues { (_, rules) -> rules.associateBy { it.field } }
