package dev.edgepipeline.core.validate

/**
 * `operators.txt` and `onnx.txt` of `cpp_runner/bundle`, which say what model files may use. Every build
 * puts the lists beside this class.
 */
internal object Operators {
    private val words: Map<String, Set<String>> by lazy { listed("operators.txt") + listed("onnx.txt") }

    private fun listed(file: String): Map<String, Set<String>> {
        val list = checkNotNull(Operators::class.java.getResourceAsStream(file)) { "$file is not built in" }
        return list.bufferedReader().useLines { lines ->
            lines.filter { ' ' in it && !it.startsWith('#') }
                .groupBy({ it.substringBefore(' ') }, { it.substringAfter(' ') })
                .mapValues { (_, names) -> names.toSet() }
        }
    }

    /** `aten::add`, `quantized::conv2d`. */
    fun isAllowed(name: String): Boolean = name in words.getValue("allow")

    /**
     * Whether torch has an operator of that name that is not allowed and that code may call as a
     * method of its first argument (`x.record_stream(s)`), so that no attribute may have the name.
     */
    fun isRefusedMethod(name: String): Boolean = name in words.getValue("refuse")

    /** Whether an allowed operator has an argument of that name, given by its name alone, that it writes into: `out`. */
    fun isRefusedKeyword(name: String): Boolean = name in words.getValue("keyword")

    /** A class of torch's own: `__torch__.torch.classes.quantized.LinearPackedParamsBase`. */
    fun isAllowedClass(name: String): Boolean = name in words.getValue("class")

    /** Whether an ONNX file may import that domain. */
    fun isKnownDomain(name: String): Boolean = name.isEmpty() || name in words.getValue("domain")

    /** Whether com.microsoft's operator of that name computes, and does nothing else. */
    fun isAllowedOfMicrosoft(name: String): Boolean = name in words.getValue("microsoft")

    /** The lines of onnx.txt that begin with a mark, without it, as words. */
    fun rows(mark: String): List<List<String>> = words.getValue(mark).map { it.split(' ') }
}
