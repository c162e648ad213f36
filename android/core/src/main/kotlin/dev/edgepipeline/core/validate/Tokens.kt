package dev.edgepipeline.core.validate

import dev.edgepipeline.core.quoted

// The text of TorchScript as torch's printer writes it, cut into tokens. It is a small part of
// Python: no comments, one kind of string, no line goes on behind a backslash. Whatever the printer
// does not write is refused, so that no other reader can take the text for something else.

internal enum class TokenKind { NAME, NUMBER, STRING, SYMBOL, LINE_END }

/**
 * [isFirst]: of its line, in its first column. [line] counts from 1. [text] of a string is what
 * stands between the quotes, escapes as they are.
 */
internal class Token(val kind: TokenKind, val isFirst: Boolean, val line: Int, val text: String)

private const val MAX_BYTES = 1 shl 20 // timm's largest has 33 KB; a phone has less room than a server
private const val MAX_BRACKETS = 200 // timm's deepest has 10
private const val MAX_INDENT = 400 // blanks; two a level
private const val MAX_RUN = 2000 // tokens without a comma or a line's end
private const val SYMBOLS = "()[]{}.,:=->"

/**
 * Throws [Unsafe], its message naming [file] and the line. What is nested too deep, or goes on too
 * long, for a parser that recurses is refused too.
 */
internal fun tokensOf(file: String, text: Bytes): List<Token> {
    if (text.size > MAX_BYTES) refuseCode(file, 1, "it has more than 1 MiB")
    return Tokenizer(file, text.text()).run()
}

internal fun refuseCode(file: String, line: Int, why: String): Nothing =
    refuseArchive("${quoted(file)}, line $line: $why")

private fun isDigit(c: Char) = c in '0'..'9'

private fun beginsName(c: Char) = c in 'a'..'z' || c in 'A'..'Z' || c == '_'

private fun goesOn(c: Char) = beginsName(c) || isDigit(c)

private class Tokenizer(private val file: String, private val text: String) {
    private val tokens = ArrayList<Token>()
    private var at = 0
    private var columnZero = 0
    private var brackets = 0
    private var run = 0
    private var line = 1

    fun run(): List<Token> {
        while (at < text.length) step()
        if (brackets != 0) refuse("a bracket is not closed")
        return tokens
    }

    private fun refuse(why: String): Nothing = refuseCode(file, line, why)

    private fun step() {
        val c = text[at]
        when {
            c == '\n' -> endLine()
            c == ' ' -> at++
            c == '"' -> add(TokenKind.STRING, stringEnd())
            beginsName(c) -> add(TokenKind.NAME, endWhere { !goesOn(it) })
            isDigit(c) -> add(TokenKind.NUMBER, numberEnd())
            c in SYMBOLS -> {
                count(c)
                add(TokenKind.SYMBOL, at + 1)
            }
            else -> refuse("it has the character ${quoted(c.toString())}, which torch does not write")
        }
    }

    private fun endLine() {
        if (brackets == 0) add(TokenKind.LINE_END, at + 1) else at++
        line++
        columnZero = at
        val start = endWhere { it != ' ' }
        if (start < text.length && start - at > MAX_INDENT && brackets == 0) {
            refuse("it is indented more than 200 levels deep")
        }
    }

    private inline fun endWhere(stops: (Char) -> Boolean): Int {
        var end = at
        while (end < text.length && !stops(text[end])) end++
        return end
    }

    /** 1, 0.5, 1., 1e-05, 2j */
    private fun numberEnd(): Int {
        var end = at
        while (end < text.length && (goesOn(text[end]) || text[end] == '.')) {
            val isExponent = text[end] == 'e' || text[end] == 'E'
            end++
            if (isExponent && end < text.length && (text[end] == '-' || text[end] == '+')) end++
        }
        return end
    }

    private fun stringEnd(): Int {
        if (text.startsWith("\"\"\"", at)) refuse("it has a string of three quotes")
        var end = at + 1
        while (end < text.length && text[end] != '\n') {
            if (text[end] == '"') return end + 1
            if (text[end] == '\\' && ++end < text.length && text[end] == '\n') break
            end++
        }
        refuse("a string has no end")
    }

    private fun count(c: Char) {
        if (c in "([{") {
            if (++brackets > MAX_BRACKETS) refuse("more than 200 brackets are open")
        } else if (c in ")]}") {
            if (brackets == 0) refuse("a bracket is closed that is not open")
            brackets--
        }
        if (c == ',') run = 0
    }

    private fun add(kind: TokenKind, end: Int) {
        if (++run > MAX_RUN) refuse("an expression has more than 2000 parts")
        if (kind == TokenKind.LINE_END) run = 0
        val inner = if (kind == TokenKind.STRING) 1 else 0
        tokens += Token(kind, at == columnZero, line, text.substring(at + inner, end - inner))
        at = end
    }
}
