package dev.edgepipeline.core.validate

internal enum class PickleKind {
    NONE, BOOLEAN, INTEGER, REAL, TEXT, TUPLE, LIST, DICT,
    STORAGE_TYPE,
    SCHEME, // how a tensor is quantized
    FUNCTION,
    TYPE, // a class: what is called or built makes an object
    STORAGE, TENSOR, OBJECT,
}

internal enum class PickleFunction {
    ORDERED_DICT,
    LIST_OF, // build_intlist and its like
    TYPE_TAG,
    COMPLEX,
    TENSOR,
    QUANTIZED_TENSOR,
}

/**
 * What a value is, without the value. Immutable but for lists and dicts, which may be filled before
 * anything else is done with them; their content is not kept.
 */
internal class PickleValue(
    val kind: PickleKind,
    /** Of an integer itself; of a storage type the bytes of an element; of a storage or tensor its elements. */
    val number: Long = 0,
    val text: Bytes? = null,
    val items: List<PickleValue> = emptyList(),
    val function: PickleFunction? = null,
    /** Levels of tuples, lists, dicts and objects in it. */
    var depth: Int = 0,
    /** A list or dict that was not used yet, and may be filled once. */
    var isFresh: Boolean = false,
) {
    fun says(word: String): Boolean = text != null && text.says(word)
}

private val STORAGES = mapOf(
    "Byte" to 1L, "Char" to 1L, "Short" to 2L, "Int" to 4L, "Long" to 8L, "Half" to 2L, "Float" to 4L,
    "Double" to 8L, "Bool" to 1L, "BFloat16" to 2L, "ComplexFloat" to 8L, "ComplexDouble" to 16L,
    "QInt8" to 1L, "QUInt8" to 1L, "QInt32" to 4L,
).mapKeys { (name, _) -> "torch.${name}Storage" }

private val FUNCTIONS = mapOf(
    "collections.OrderedDict" to PickleFunction.ORDERED_DICT,
    "torch.jit._pickle.build_intlist" to PickleFunction.LIST_OF,
    "torch.jit._pickle.build_tensorlist" to PickleFunction.LIST_OF,
    "torch.jit._pickle.build_doublelist" to PickleFunction.LIST_OF,
    "torch.jit._pickle.build_boollist" to PickleFunction.LIST_OF,
    "torch.jit._pickle.restore_type_tag" to PickleFunction.TYPE_TAG,
    "builtins.complex" to PickleFunction.COMPLEX,
    "torch._utils._rebuild_tensor_v2" to PickleFunction.TENSOR,
    "torch._utils._rebuild_qtensor" to PickleFunction.QUANTIZED_TENSOR,
)

/** [PickleValue.number] of a scheme. */
internal const val PER_TENSOR = 0L
private val SCHEMES = mapOf("torch.per_tensor_affine" to PER_TENSOR, "torch.per_channel_affine" to 1L)

/** What a pickle may ask for by name, or null. */
internal fun pickleGlobal(name: String): PickleValue? =
    FUNCTIONS[name]?.let { PickleValue(PickleKind.FUNCTION, function = it) }
        ?: STORAGES[name]?.let { PickleValue(PickleKind.STORAGE_TYPE, it) }
        ?: SCHEMES[name]?.let { PickleValue(PickleKind.SCHEME, it) }
