package dev.edgepipeline.core

import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException

// JSON as docs/bundle-format.md asks for it. A value is null, Boolean, Long, Double, String,
// List<Any?> or Map<String, Any?> in the order of the file. org.json takes comments, single quotes
// and doubled keys, and is not on every JVM: hence a parser of our own.

internal const val MAX_INTEGER = (1L shl 53) - 1
private const val MAX_LEVELS = 16

internal fun parseJson(bytes: ByteArray): Any? {
    val text = try {
        // Not String(bytes), which replaces what is no UTF-8.
        Charsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString()
    } catch (_: CharacterCodingException) {
        refuse(Refusal.NOT_UTF8, MANIFEST, "a byte that begins no character")
    }
    return JsonParser(text).parse()
}

private class JsonParser(private val text: String) {
    private var at = 0

    fun parse(): Any? {
        val value = value(1)
        blanks()
        if (at < text.length) notJson("more behind its end")
        return value
    }

    private fun value(level: Int): Any? {
        blanks()
        return when (val c = peek()) {
            '{' -> nested(level) { objectAt(level) }
            '[' -> nested(level) { arrayAt(level) }
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> if (c == '-' || c in '0'..'9') number() else notJson("no value")
        }
    }

    // What is nested too deep is not looked at: a parser that recurses must stop somewhere.
    private fun nested(level: Int, parse: () -> Any?): Any? {
        if (level > MAX_LEVELS) refuse(Refusal.NESTED_TOO_DEEP, MANIFEST, MAX_LEVELS)
        return parse()
    }

    private fun objectAt(level: Int): Map<String, Any?> {
        val members = LinkedHashMap<String, Any?>()
        list('}') {
            if (peek() != '"') notJson("a key without quotes")
            val key = string()
            blanks()
            expect(':')
            if (key in members) refuse(Refusal.DUPLICATE_KEY, MANIFEST, quoted(key))
            members[key] = value(level + 1)
        }
        return members
    }

    private fun arrayAt(level: Int): List<Any?> = buildList { list(']') { add(value(level + 1)) } }

    private fun list(end: Char, item: () -> Unit) {
        at++
        blanks()
        if (peek() == end) {
            at++
            return
        }
        while (true) {
            blanks()
            item()
            blanks()
            if (peek() == end) break
            expect(',')
        }
        at++
    }

    private fun string(): String {
        at++
        val out = StringBuilder()
        while (true) {
            val c = peek()
            at++
            when {
                c == '"' -> break
                c == '\\' -> out.append(escape())
                c < ' ' -> notJson("a control character in a text")
                else -> out.append(c)
            }
        }
        if (!Charsets.UTF_8.newEncoder().canEncode(out)) notJson("half a surrogate pair")
        return out.toString()
    }

    private fun escape(): Char {
        val c = peek()
        at++
        return when (c) {
            '"', '\\', '/' -> c
            'b' -> '\b'
            'f' -> '\u000c'
            'n' -> '\n'
            'r' -> '\r'
            't' -> '\t'
            'u' -> hex()
            else -> notJson("an unknown escape")
        }
    }

    private fun hex(): Char {
        val digits = text.substring(at, minOf(at + 4, text.length))
        if (digits.length < 4 || !digits.all { it in '0'..'9' || it in 'a'..'f' || it in 'A'..'F' }) {
            notJson("an unknown escape")
        }
        at += 4
        return digits.toInt(16).toChar()
    }

    private fun number(): Any {
        val found = NUMBER.matchAt(text, at) ?: notJson("no number")
        at = found.range.last + 1
        if (peekOrNull()?.let { it in '0'..'9' } == true) notJson("a number that begins with 0")
        val digits = found.value
        if (digits.none { it == '.' || it == 'e' || it == 'E' }) return integer(digits)
        val value = digits.toDouble()
        if (value.isInfinite()) badNumber("${digits.take(32)} is not finite")
        return value
    }

    private fun integer(digits: String): Long {
        val value = if (digits.length <= 17) digits.toLong() else Long.MAX_VALUE
        if (value > MAX_INTEGER || value < -MAX_INTEGER || digits == "-0") {
            badNumber("${digits.take(32)} is not an integer of at most 2^53 - 1")
        }
        return value
    }

    private fun word(word: String, value: Any?): Any? {
        if (!text.startsWith(word, at)) notJson("no value")
        at += word.length
        return value
    }

    private fun blanks() {
        while (at < text.length && text[at] in " \t\n\r") at++
    }

    private fun expect(c: Char) {
        if (peek() != c) notJson("'$c' is missing")
        at++
    }

    private fun peek(): Char = peekOrNull() ?: notJson("it ends too early")

    private fun peekOrNull(): Char? = text.getOrNull(at)

    private fun badNumber(why: String): Nothing = refuse(Refusal.BAD_VALUE, MANIFEST, why)

    private fun notJson(why: String): Nothing =
        refuse(Refusal.NOT_JSON, MANIFEST, "$why, character $at")

    private companion object {
        val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
    }
}

/** JSON of maps, lists, texts, numbers, booleans and null; a number that is not finite is null. */
fun toJson(value: Any?): String = when (value) {
    null -> "null"
    is Boolean, is Int, is Long -> value.toString()
    is Float -> toJson(value.toDouble())
    is Double -> if (value.isFinite()) value.toString() else "null"
    is Map<*, *> -> value.entries.joinToString(",", "{", "}") { (key, item) -> "${textJson(key.toString())}:${toJson(item)}" }
    is Iterable<*> -> value.joinToString(",", "[", "]", transform = ::toJson)
    else -> textJson(value.toString())
}

private fun textJson(text: String): String = buildString {
    append('"')
    for (c in text) {
        when {
            c == '"' || c == '\\' -> append('\\').append(c)
            c == '\n' -> append("\\n")
            c < ' ' || c == '\u007f' || c.isSurrogate() -> append("\\u%04x".format(c.code))
            else -> append(c)
        }
    }
    append('"')
}
