package dev.edgepipeline.core.validate

private const val MAX_AXES = 64

/** The tensor that torch._utils' _rebuild_tensor_v2 or _rebuild_qtensor makes of [arguments]. */
internal fun rebuildTensor(arguments: PickleValue, isQuantized: Boolean): PickleValue {
    val items = arguments.items
    val expected = if (isQuantized) 7 else 6
    if (items.size != expected) pickleFault("a tensor is rebuilt from too few or too many values")
    val (storage, offset) = items
    if (storage.kind != PickleKind.STORAGE || offset.kind != PickleKind.INTEGER || offset.number < 0) {
        pickleFault("a tensor is rebuilt from something other than a storage and an offset")
    }
    val sizes = axesOf(items[2])
    val strides = axesOf(items[3])
    if (sizes == null || strides == null || sizes.size != strides.size) {
        pickleFault("a tensor's sizes or strides are malformed")
    }
    if (isQuantized && !fitsQuantizer(items[4], sizes)) {
        pickleFault("a quantized tensor's scales or zero points do not fit it")
    }
    if (items[expected - 2].kind != PickleKind.BOOLEAN || items[expected - 1].kind != PickleKind.NONE) {
        pickleFault("a tensor has hooks, or does not say whether it needs gradients")
    }
    val end = endOf(offset.number, sizes, strides)
    if (end == null || end > storage.number) {
        pickleFault("a tensor reaches beyond its storage of ${storage.number} elements")
    }
    val elements = if (0L in sizes) 0 else sizes.fold(1L) { product, size -> product * size }
    return PickleValue(PickleKind.TENSOR, elements, depth = arguments.depth)
}

/** A tuple of axes: integers, none negative. */
private fun axesOf(tuple: PickleValue): List<Long>? {
    if (tuple.kind != PickleKind.TUPLE || tuple.items.size > MAX_AXES) return null
    if (tuple.items.any { it.kind != PickleKind.INTEGER || it.number < 0 }) return null
    return tuple.items.map { it.number }
}

/** One more than the place of the last element that these axes reach; null if that is beyond 2^63. */
private fun endOf(offset: Long, sizes: List<Long>, strides: List<Long>): Long? {
    if (0L in sizes) return offset
    var elements = 1L
    var end = offset
    for (i in sizes.indices) {
        if (elements > Long.MAX_VALUE / sizes[i]) return null
        elements *= sizes[i]
        val steps = sizes[i] - 1
        if (steps != 0L && strides[i] > (Long.MAX_VALUE - end - 1) / steps) return null
        end += steps * strides[i]
    }
    return if (end == Long.MAX_VALUE) null else end + 1
}

/** (scheme, scale, zero point), or (scheme, scales, zero points, axis). */
private fun fitsQuantizer(tuple: PickleValue, sizes: List<Long>): Boolean {
    val items = tuple.items
    if (tuple.kind != PickleKind.TUPLE || items.size < 3 || items[0].kind != PickleKind.SCHEME) return false
    val (scheme, scale, zero) = items
    if (scheme.number == PER_TENSOR) {
        return items.size == 3 && scale.kind == PickleKind.REAL && zero.kind == PickleKind.INTEGER
    }
    if (items.size != 4 || scale.kind != PickleKind.TENSOR || zero.kind != PickleKind.TENSOR) return false
    val axis = items[3]
    if (axis.kind != PickleKind.INTEGER || axis.number !in sizes.indices) return false
    val channels = sizes[axis.number.toInt()]
    return scale.number == channels && zero.number == channels
}
