package dev.edgepipeline.core.validate

import dev.edgepipeline.core.quoted

// The code of a TorchScript archive: which names it defines, and that it uses no operators but those
// that are listed.

// They print, start threads, or have no place in what torch prints.
private val REFUSED_NAMES = setOf(
    "awaitable", "awaitable_nowait", "awaitable_wait", "elif", "fork", "from", "global", "import", "print",
)
private const val CUSTOM_CLASSES = "__torch__.torch.classes."

/** The classes and functions of all code files: `__torch__.net.Net`. */
internal class Definitions {
    private val names = HashSet<String>()

    /** [file] is `code/__torch__/net.py`. Throws [Unsafe] where it has anything else in its first column. */
    fun add(file: String, text: Bytes) {
        val module = file.removePrefix("code/").removeSuffix(".py").replace('/', '.')
        val tokens = tokensOf(file, text)
        for (i in 0 until tokens.size - 1) {
            val token = tokens[i]
            if (!token.isFirst || token.kind == TokenKind.LINE_END) continue
            val next = tokens[i + 1]
            if ((token.text != "class" && token.text != "def") || next.kind != TokenKind.NAME) {
                refuseCode(file, token.line, "it has something besides classes and functions")
            }
            if (!names.add("$module.${next.text}")) refuseCode(file, token.line, "${quoted(next.text)} is defined twice")
        }
    }

    /**
     * Whether a name is of a class or function of the archive, or a part of one (a value of an Enum),
     * or of a class of torch's own that is allowed.
     */
    operator fun contains(name: String): Boolean {
        if (name.startsWith(CUSTOM_CLASSES)) return Operators.isAllowedClass(name)
        return generateSequence(name) { it.substringBeforeLast('.', "").ifEmpty { null } }.any { it in names }
    }
}

/** Throws [Unsafe], its message naming [file] and the line. */
internal fun checkCode(file: String, text: Bytes, definitions: Definitions) =
    CodeChecker(file, tokensOf(file, text), definitions).run()

private class CodeChecker(
    private val file: String, private val tokens: List<Token>, private val definitions: Definitions,
) {
    private var at = 0
    private var open = 0 // brackets

    fun run() {
        while (at < tokens.size) {
            if (tokens[at].kind == TokenKind.NAME) {
                checkKeyword()
                checkName()
            } else {
                countBracket()
            }
            at++
        }
    }

    private fun countBracket() {
        if (tokens[at].kind != TokenKind.SYMBOL) return
        if (tokens[at].text in OPENING) open++
        if (tokens[at].text in CLOSING) open--
    }

    // torch.add(x, y, out=z): the kernels trust `out`.
    private fun checkKeyword() {
        val isKeyword = open > 0 && isSymbol(at + 1, "=") && (isSymbol(at - 1, "(") || isSymbol(at - 1, ","))
        val name = tokens[at].text
        if (isKeyword && Operators.isRefusedKeyword(name)) {
            refuse("it gives an operator memory to write into, ${quoted(name)}, which is not allowed")
        }
    }

    private fun refuse(why: String): Nothing = refuseCode(file, tokens[minOf(at, tokens.size - 1)].line, why)

    private fun isSymbol(index: Int, symbol: String): Boolean =
        tokens.getOrNull(index)?.let { it.kind == TokenKind.SYMBOL && it.text == symbol } ?: false

    /** Looks at the name here and what belongs to it; stays at its last token. */
    private fun checkName() {
        val name = tokens[at].text
        when {
            isSymbol(at - 1, ".") -> checkAttribute(name)
            name == "torch" -> checkOperator("aten")
            name == "ops" -> checkOperator(takeAfterDot())
            name == "CONSTANTS" -> takeAfterDot()
            name == "__torch__" -> checkQualified()
            name == "getattr" -> checkGetattr()
            name in REFUSED_NAMES -> refuse("it uses ${quoted(name)}, which is not allowed")
        }
    }

    // Code may call an operator as a method of its first argument.
    private fun checkAttribute(name: String) {
        if (Operators.isRefusedMethod(name)) refuse("it uses the name ${quoted(name)}, an operator that is not allowed")
    }

    // Moves from a name to the one behind the dot that must follow: `torch` alone could be given
    // another name, under which nobody would find what is called.
    private fun takeAfterDot(): String {
        val isDotted = isSymbol(at + 1, ".") && tokens.getOrNull(at + 2)?.kind == TokenKind.NAME
        if (!isDotted) refuse("${quoted(tokens[at].text)} stands alone")
        at += 2
        return tokens[at].text
    }

    private fun checkOperator(space: String) {
        val name = "$space::${takeAfterDot()}"
        if (!Operators.isAllowed(name)) refuse("it uses the operator $name, which is not allowed")
        if (isSymbol(at + 1, ".")) refuse("it looks for something in the operator $name")
    }

    private fun checkQualified() {
        var name = tokens[at].text
        while (isSymbol(at + 1, ".")) name += ".${takeAfterDot()}"
        if (name !in definitions) refuse("it uses ${quoted(name)}, which the archive does not define")
    }

    // getattr(object, "name"): the name is an attribute's.
    private fun checkGetattr() {
        val name = nameOfGetattr() ?: refuse("getattr is not used as torch writes it")
        if ('\\' in name) refuse("getattr has a name with escapes")
        checkAttribute(name)
    }

    private fun nameOfGetattr(): String? {
        var open = 0
        for (i in at + 1 until tokens.size) {
            val symbol = if (tokens[i].kind == TokenKind.SYMBOL) tokens[i].text else ""
            if (symbol in OPENING) open++
            if (symbol in CLOSING) open--
            if (open <= 0) return null
            if (open == 1 && symbol == ",") {
                val name = tokens.getOrNull(i + 1)?.takeIf { it.kind == TokenKind.STRING }
                return name?.text.takeIf { isSymbol(i + 2, ")") }
            }
        }
        return null
    }

    private companion object {
        val OPENING = setOf("(", "[", "{")
        val CLOSING = setOf(")", "]", "}")
    }
}
