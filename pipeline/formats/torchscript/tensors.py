"""How the pickles of a TorchScript archive describe tensors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from pipeline.formats.torchscript.pickles import Storage, Value

_MAX_AXES = 64
_MAX = (1 << 63) - 1
_PER_TENSOR = 0

STORAGES = {
    "torch.ByteStorage": ("uint8", 1),
    "torch.CharStorage": ("int8", 1),
    "torch.ShortStorage": ("int16", 2),
    "torch.IntStorage": ("int32", 4),
    "torch.LongStorage": ("int64", 8),
    "torch.HalfStorage": ("float16", 2),
    "torch.FloatStorage": ("float32", 4),
    "torch.DoubleStorage": ("float64", 8),
    "torch.BoolStorage": ("bool", 1),
    "torch.BFloat16Storage": ("bfloat16", 2),
    "torch.ComplexFloatStorage": ("complex64", 8),
    "torch.ComplexDoubleStorage": ("complex128", 16),
    "torch.QInt8Storage": ("int8", 1),
    "torch.QUInt8Storage": ("uint8", 1),
    "torch.QInt32Storage": ("int32", 4),
}
"""What a pickle calls each kind of storage: NumPy's name of the element type, its bytes."""

ITEM_BYTES = dict(STORAGES.values())
"""Bytes of an element by its type."""

FUNCTIONS = {
    "collections.OrderedDict": "ordered dict",
    "torch.jit._pickle.build_intlist": "list",
    "torch.jit._pickle.build_tensorlist": "list",
    "torch.jit._pickle.build_doublelist": "list",
    "torch.jit._pickle.build_boollist": "list",
    "torch.jit._pickle.restore_type_tag": "type tag",
    "builtins.complex": "complex",
    "torch._utils._rebuild_tensor_v2": "tensor",
    "torch._utils._rebuild_qtensor": "quantized tensor",
}
"""What a pickle may call."""

SCHEMES = ("torch.per_tensor_affine", "torch.per_channel_affine")


class Fault(Exception):
    """A pickle asks for what is refused; who reads it knows the place."""


def rebuild(arguments: Sequence["Value"], *, quantized: bool) -> tuple[tuple[int, ...], "Storage"]:
    """Shape and storage of what _rebuild_tensor_v2 or _rebuild_qtensor of torch._utils makes of
    these arguments. Raises Fault where they do not fit."""
    expected = 7 if quantized else 6
    if len(arguments) != expected:
        _refuse("a tensor is rebuilt from too few or too many values")
    storage, offset = arguments[0], arguments[1]
    if storage.kind != "storage" or offset.kind != "integer" or offset.data < 0:
        _refuse("a tensor is rebuilt from something other than a storage and an offset")
    assert storage.storage is not None
    sizes, strides = _axes(arguments[2]), _axes(arguments[3])
    if sizes is None or strides is None or len(sizes) != len(strides):
        _refuse("a tensor's sizes or strides are malformed")
    if quantized and not _fits_quantizer(arguments[4], sizes):
        _refuse("a quantized tensor's scales or zero points do not fit it")
    if arguments[-2].kind != "boolean" or arguments[-1].kind != "none":
        _refuse("a tensor has hooks, or does not say whether it needs gradients")
    end = _extent(offset.data, sizes, strides)
    if end is None or end > storage.data:
        _refuse(f"a tensor reaches beyond its storage of {storage.data} elements")
    return sizes, storage.storage


def _refuse(why: str) -> NoReturn:
    raise Fault(why)


def _axes(value: "Value") -> tuple[int, ...] | None:
    """Integers, none negative; None where it is something else."""
    if value.kind != "tuple" or len(value.items) > _MAX_AXES:
        return None
    if any(item.kind != "integer" or item.data < 0 for item in value.items):
        return None
    return tuple(item.data for item in value.items)


def _extent(offset: int, sizes: tuple[int, ...], strides: tuple[int, ...]) -> int | None:
    """One more than the place of the last element; None where it is beyond 2^63."""
    if 0 in sizes:
        return offset
    count, end = 1, offset
    for size, stride in zip(sizes, strides, strict=True):
        count *= size
        end += (size - 1) * stride
        if count > _MAX or end >= _MAX:
            return None
    return None if end == _MAX else end + 1


def _fits_quantizer(value: "Value", sizes: tuple[int, ...]) -> bool:
    """(scheme, scale, zero point), or (scheme, scales, zero points, axis)."""
    if value.kind != "tuple" or len(value.items) < 3 or value.items[0].kind != "scheme":
        return False
    scheme, scale, zero, *rest = value.items
    if scheme.data == _PER_TENSOR:
        return not rest and scale.kind == "real" and zero.kind == "integer"
    if len(rest) != 1 or scale.kind != "tensor" or zero.kind != "tensor":
        return False
    (axis,) = rest
    if axis.kind != "integer" or not 0 <= axis.data < len(sizes):
        return False
    channels: int = sizes[axis.data]
    return _elements(scale) == channels and _elements(zero) == channels


def _elements(tensor: "Value") -> int:
    count = 1
    for size in tensor.data:
        count *= size
    return count
