"""The facts of a TorchScript file: nothing in it is run, and no torch is needed."""

import ast
import math
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import DamagedError
from pipeline.formats.facts import DAMAGED_HINT, Facts, Layer, Port, by_size, weight_bytes
from pipeline.formats.torchscript.archive import Unsafe
from pipeline.formats.torchscript.calls import Calls
from pipeline.formats.torchscript.pickles import Value
from pipeline.formats.torchscript.tensors import ITEM_BYTES
from pipeline.formats.torchscript.validate import Archive, read_archive


def read_torchscript(path: Path) -> Facts:
    """Raises DamagedError for what is no TorchScript file."""
    archive = read_archive(path)
    try:
        calls = Calls(archive.code)
    except Unsafe as error:
        raise DamagedError(f"{path} is not a readable TorchScript file: {error}") from error
    forward = calls.forward(str(archive.module.data))
    if forward is None:
        raise DamagedError(
            f"{path} is not a readable TorchScript file: it has no method forward.", DAMAGED_HINT
        )
    layers = by_size(_layers(archive))
    return Facts(
        operators=dict(sorted(calls.operators(forward).items())),
        version=archive.version,
        weight_bytes=weight_bytes(layers),
        layers=layers,
        inputs=tuple(Port(argument.arg, None, None) for argument in forward.args.args[1:]),
        outputs=_outputs(forward.returns),
        provenance={"archive_version": archive.version},
        unsafe=archive.unsafe(),
    )


def _outputs(returned: ast.expr | None) -> tuple[Port, ...]:
    """One port for each tensor that forward returns."""
    count = 1
    if isinstance(returned, ast.Subscript) and getattr(returned.value, "id", "") == "Tuple":
        count = len(getattr(returned.slice, "elts", [returned.slice]))
    return tuple(
        Port(f"output_{index}" if index else "output", None, None) for index in range(count)
    )


def _layers(archive: Archive) -> Iterator[Layer]:
    """Parameters, buffers, packed weights and constants; a shared storage counts once."""
    seen: set[tuple[str, bytes]] = set()
    for part, value, prefix in (
        ("data", archive.module, ""),
        ("constants", archive.constants, "constants"),
    ):
        for name, tensor in _tensors(value, prefix, set()):
            assert tensor.storage is not None
            place, dtype = (part, tensor.storage.key), tensor.storage.dtype
            size = math.prod(tensor.data) * ITEM_BYTES[dtype]
            yield Layer(name, dtype, tensor.data, 0 if place in seen else size)
            seen.add(place)


def _tensors(value: Value, name: str, met: set[int]) -> Iterator[tuple[str, Value]]:
    """(dotted name, tensor) of everything inside a value; what several refer to, once."""
    if value.kind == "tensor":
        yield name, value
        return
    if not value.items or id(value) in met:
        return
    met.add(id(value))
    if value.kind == "object":
        yield from _tensors(value.items[0], name, met)
    elif value.kind == "dict":
        for key, inner in zip(value.items[::2], value.items[1::2], strict=True):
            word = key.data.decode("utf-8", "replace") if key.kind == "text" else str(key.data)
            yield from _tensors(inner, f"{name}.{word}" if name else word, met)
    else:
        for index, inner in enumerate(value.items):
            yield from _tensors(inner, f"{name}.{index}" if name else str(index), met)
