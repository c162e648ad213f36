package dev.edgepipeline.core

// A value of manifest.json with the way to it, for messages. Nothing converts: a value is of the kind
// that is asked for, or the manifest is refused.
internal class Node(private val value: Any?, private val path: String = "") {
    fun wrong(why: String): Nothing =
        refuse(Refusal.BAD_VALUE, MANIFEST, if (path.isEmpty()) why else "$path: $why")

    /** Refuses an object with other keys than these. */
    fun hasExactly(vararg keys: String): Node {
        val members = objectOrRefuse()
        keys.find { it !in members }?.let { refuse(Refusal.MISSING_KEY, MANIFEST, quoted(below(it))) }
        members.keys.find { it !in keys }?.let { refuse(Refusal.UNKNOWN_KEY, MANIFEST, quoted(below(it))) }
        return this
    }

    operator fun get(key: String): Node = Node(objectOrRefuse().getValue(key), below(key))

    fun <T> members(read: (Node) -> T): Map<String, T> =
        objectOrRefuse().entries.associate { (key, item) ->
            val node = Node(item, below(quoted(key)))
            Node(key, node.path).name() to read(node)
        }

    fun <T> items(read: (Node) -> T): List<T> {
        val list = value as? List<*> ?: wrong("not an array")
        return list.mapIndexed { index, item -> read(Node(item, below(index.toString()))) }
    }

    fun <T> orNull(read: (Node) -> T): T? = if (value == null) null else read(this)

    fun boolean(): Boolean = value as? Boolean ?: wrong("neither true nor false")

    fun integer(range: LongRange = 0..MAX_INTEGER): Long {
        val found = value as? Long
        if (found == null || found !in range) wrong("not an integer from ${range.first} to ${range.last}")
        return found
    }

    fun number(): Double = when (value) {
        is Long -> value.toDouble()
        is Double -> value
        else -> wrong("not a number")
    }

    fun positive(): Double = number().also { if (!(it > 0)) wrong("not above 0") }

    fun notNegative(): Double = number().also { if (!(it >= 0)) wrong("negative") }

    fun share(): Double = number().also { if (!(it in 0.0..1.0)) wrong("not between 0 and 1") }

    fun string(): String = value as? String ?: wrong("not a string")

    fun text(): String = string().also { text ->
        if (text.any { it != '\n' && isControl(it) }) wrong("control characters are not allowed")
    }

    fun line(): String = string().also { text ->
        if (text.any(::isControl)) wrong("control characters and line feeds are not allowed")
    }

    fun name(): String = line().also { if (it.isEmpty()) wrong("empty") }

    fun identifier(): String = string().also {
        if (!IDENTIFIER.matches(it)) wrong("${quoted(it)} is not an identifier")
    }

    fun hash(): String = string().also {
        if (!HASH.matches(it)) wrong("not 64 hexadecimal digits")
    }

    fun file(): String = checkName(string())

    fun oneOf(vararg words: String): String = string().also {
        if (it !in words) wrong("${quoted(it)} is not one of ${words.joinToString(" ")}")
    }

    fun <T : Word> oneOf(constants: List<T>): T =
        constants.named(string()) ?: wrong("${quoted(string())} is not one of ${constants.joinToString(" ") { it.word }}")

    private fun objectOrRefuse(): Map<String, Any?> {
        @Suppress("UNCHECKED_CAST")
        return value as? Map<String, Any?> ?: wrong("not an object")
    }

    private fun below(key: String): String = if (path.isEmpty()) key else "$path.$key"
}

private val IDENTIFIER = Regex("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
internal val HASH = Regex("[0-9a-f]{64}")

private fun isControl(c: Char): Boolean = c < ' ' || c == '\u007f'
