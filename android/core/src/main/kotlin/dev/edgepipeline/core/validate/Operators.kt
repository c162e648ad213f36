package dev.edgepipeline.core.validate

/**
 * `cpp_runner/bundle/operators.txt`, which says what a TorchScript file may use. Every build puts the
 * list beside this class.
 */
internal object Operators {
    private val words: Map<String, Set<String>> by lazy {
        val list = checkNotNull(Operators::class.java.getResourceAsStream("operators.txt")) { "operators.txt is not built in" }
        list.bufferedReader().useLines { lines ->
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
}
