"""The facts of a TorchScript file: its code loaded, its tensors read as data."""

import io
import math
import pickle
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import DamagedError
from pipeline.readback.facts import DAMAGED_HINT, Facts, Layer, Port, by_size, weight_bytes


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    shape: tuple[int, ...]


class _Object:
    """Stands for whatever the archive's pickles build; holds its state, runs nothing."""

    def __init__(self, *parts: object) -> None:
        self.state: object = parts

    def __setstate__(self, state: object) -> None:
        self.state = state


class _ArchiveUnpickler(pickle.Unpickler):
    """Reads an archive's pickles as data: no class and no function of theirs is looked up."""

    def find_class(self, module: str, name: str) -> Any:
        if name in ("_rebuild_tensor_v2", "_rebuild_qtensor"):
            return _rebuild
        if module == "collections" and name == "OrderedDict":
            return dict
        if name.endswith("Storage"):
            return name
        return _Object

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, *_rest = pid
        return _Storage(str(key), _storage_dtype(str(kind)))


def _rebuild(storage: _Storage, _offset: int, size: tuple[int, ...], *_rest: object) -> _Tensor:
    return _Tensor(storage, tuple(size))


# Names of torch's storage classes, as old archives and those of today write them.
_STORAGES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Char": "int8",
    "Byte": "uint8",
    "Short": "int16",
    "Int": "int32",
    "Long": "int64",
    "Bool": "bool",
    "QInt8": "int8",
    "QUInt8": "uint8",
    "QInt32": "int32",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
}
_ITEM_BYTES = {"bool": 1, "bfloat16": 2, "complex64": 8, "complex128": 16}


def _storage_dtype(kind: str) -> str:
    short = kind.removesuffix("Storage")
    return _STORAGES.get(short, short.lower())


def _item_bytes(dtype: str) -> int:
    digits = "".join(character for character in dtype if character.isdigit())
    return _ITEM_BYTES.get(dtype) or int(digits or 8) // 8


def read_torchscript(path: Path) -> Facts:
    try:
        with zipfile.ZipFile(path) as archive:
            layers = by_size(_archive_layers(archive))
            version = int(_record(archive, "version", ".data/version"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch.jit is deprecated, and it is
            warnings.simplefilter("ignore", DeprecationWarning)  # what LibTorch reads
            module: Any = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
        graph = module.inlined_graph
        schema = module._c._get_method("forward").schema
    except Exception as error:  # zip, pickle and torch each raise kinds of their own
        said = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise DamagedError(
            f"{path} is not a readable TorchScript file: {said[0]}", DAMAGED_HINT
        ) from error
    operators = Counter(kind for kind in _kinds(graph) if not kind.startswith("prim::"))
    return Facts(
        operators=dict(sorted(operators.items())),
        version=version,
        weight_bytes=weight_bytes(layers),
        layers=layers,
        inputs=tuple(Port(argument.name, None, None) for argument in schema.arguments[1:]),
        outputs=_returned(schema.returns),
        provenance={"archive_version": version},
    )


def _archive_layers(archive: zipfile.ZipFile) -> Iterator[Layer]:
    """Parameters, buffers, packed weights and constants; a shared storage counts once."""
    seen: set[tuple[str, str]] = set()
    for part, prefix in (("data", ""), ("constants", "constants")):
        content = _ArchiveUnpickler(io.BytesIO(_record(archive, f"{part}.pkl"))).load()
        for name, tensor in _tensors(content, prefix):
            place = (part, tensor.storage.key)
            size = math.prod(tensor.shape) * _item_bytes(tensor.storage.dtype)
            yield Layer(name, tensor.storage.dtype, tensor.shape, 0 if place in seen else size)
            seen.add(place)


def _tensors(value: object, name: str) -> Iterator[tuple[str, _Tensor]]:
    """(dotted name, tensor) of everything inside a pickled value."""
    if isinstance(value, _Tensor):
        yield name, value
    elif isinstance(value, _Object):
        yield from _tensors(value.state, name)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _tensors(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _tensors(inner, f"{name}.{index}" if name else str(index))


def _record(archive: zipfile.ZipFile, *names: str) -> bytes:
    """A record of the archive under the first name that it has.

    The archive's folder is named as its maker liked.
    """
    for entry in archive.namelist():
        if entry.partition("/")[2] in names:
            return archive.read(entry)
    raise ValueError(f"it has no {names[0]}")


def _kinds(block: Any) -> Iterator[str]:
    for node in block.nodes():
        yield node.kind()
        for inner in node.blocks():
            yield from _kinds(inner)


def _returned(returns: Any) -> tuple[Port, ...]:
    """One port for each tensor that forward returns; a tuple or list is told apart by number."""
    kinds = returns[0].type
    count = len(kinds.elements()) if kinds.kind() == "TupleType" else 1
    return tuple(
        Port(f"output_{index}" if index else "output", None, None) for index in range(count)
    )
