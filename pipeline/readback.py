"""What a model file really holds: operators, weights and their types, read from the file itself."""

import io
import math
import pickle
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.artifacts import Format
from pipeline.errors import DamagedError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

_DAMAGED_HINT = "Make the file again: whatever wrote it did not finish, or it was changed since."


@dataclass(frozen=True)
class Layer:
    """One stored tensor. `dtype` is the element type in the file, `bytes` what it takes there."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True)
class Port:
    """An input or output as the file declares it.

    TorchScript declares neither element type nor shape: both are None there. A dynamic axis of
    an ONNX file is its name, or None where it has none.
    """

    name: str
    dtype: str | None
    shape: tuple[int | str | None, ...] | None


@dataclass(frozen=True)
class Facts:
    """What a file says of itself.

    operators     how often each operator stands in the graph, subgraphs and submodules included:
                  ONNX op types (`com.microsoft.` before those of another domain), TorchScript
                  kinds (`aten::relu`, `quantized::linear`) without the `prim::` bookkeeping
    version       ONNX opset of the default domain, or the version of the TorchScript archive
    weight_bytes  bytes by element type over all stored tensors
    layers        every stored tensor, largest first
    provenance    producer and versions, as far as the format has them
    """

    operators: dict[str, int]
    version: int
    weight_bytes: dict[str, int]
    layers: tuple[Layer, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    provenance: dict[str, Any] = field(default_factory=dict)


def read_back(path: Path, format: Format) -> Facts:
    """The facts of a model file. Raises DamagedError, naming the file, if it cannot be parsed."""
    if not path.is_file():
        raise DamagedError(f"{path} is missing.", _DAMAGED_HINT)
    return _read_onnx(path) if format == "onnx" else _read_torchscript(path)


def _weight_bytes(layers: tuple[Layer, ...]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for layer in layers:
        totals[layer.dtype] += layer.bytes
    return dict(sorted(totals.items()))


def _by_size(layers: Iterator[Layer]) -> tuple[Layer, ...]:
    return tuple(sorted(layers, key=lambda layer: (-layer.bytes, layer.name)))


# ONNX


def _read_onnx(path: Path) -> Facts:
    model = load_onnx(path)
    layers = _by_size(_onnx_layers(model.graph))
    operators: Counter[str] = Counter()
    for graph in _graphs(model):
        for node in graph.node:
            domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
            operators[domain + node.op_type] += 1
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    stored = {tensor.name for tensor in model.graph.initializer}
    return Facts(
        operators=dict(sorted(operators.items())),
        version=opsets.get("ai.onnx", 0),
        weight_bytes=_weight_bytes(layers),
        layers=layers,
        inputs=tuple(_onnx_port(v) for v in model.graph.input if v.name not in stored),
        outputs=tuple(_onnx_port(v) for v in model.graph.output),
        provenance={
            "producer": model.producer_name,
            "producer_version": model.producer_version,
            "ir_version": model.ir_version,
            "opsets": opsets,
            "metadata": {entry.key: entry.value for entry in model.metadata_props},
        },
    )


def load_onnx(path: Path) -> "ModelProto":
    """Parses an ONNX file without its external data.

    Raises DamagedError if it is no ONNX model: protobuf alone accepts many other bytes.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's DecodeError, OSError and ValueError among them
        raise DamagedError(
            f"{path} is not a readable ONNX file: {error}.", _DAMAGED_HINT
        ) from error
    if model.ir_version < 1 or not model.opset_import or not model.graph.node:
        raise DamagedError(f"{path} is not an ONNX model: it has no graph.", _DAMAGED_HINT)
    return model


def element_type(code: int) -> str:
    """NumPy's name of an ONNX element type; ONNX's own where NumPy has none (`bfloat16`)."""
    import onnx

    try:
        name = str(onnx.TensorProto.DataType.Name(code)).lower()
    except ValueError:
        return f"type {code}"
    return {"float": "float32", "double": "float64"}.get(name, name)


def _graphs(model: "ModelProto") -> "Iterator[GraphProto | Any]":
    """The graph, the graphs inside its nodes, and the model's own functions."""
    yield from _subgraphs(model.graph)
    for function in model.functions:
        yield from _subgraphs(function)


def _subgraphs(graph: "GraphProto | Any") -> "Iterator[GraphProto | Any]":
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from _subgraphs(inner)


def _onnx_layers(graph: "GraphProto") -> Iterator[Layer]:
    """Initializers and tensors of Constant nodes, in the graph and those inside it."""
    for part in _subgraphs(graph):
        for tensor in part.initializer:
            yield _onnx_layer(tensor.name, tensor)
        for sparse in part.sparse_initializer:
            yield _onnx_layer(sparse.values.name, sparse.values)
        for node in part.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.HasField("t"):
                    yield _onnx_layer(node.output[0], attribute.t)


def _onnx_layer(name: str, tensor: "TensorProto") -> Layer:
    import onnx

    dtype = element_type(tensor.data_type)
    count = math.prod(tensor.dims)
    if tensor.data_type == onnx.TensorProto.STRING:
        size = sum(len(text) for text in tensor.string_data)
    elif dtype in ("int4", "uint4", "float4e2m1"):
        size = (count + 1) // 2
    else:
        size = count * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return Layer(name, dtype, tuple(tensor.dims), size)


def _onnx_port(value: "ValueInfoProto") -> Port:
    tensor = value.type.tensor_type
    dims = [
        dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or None)
        for dim in tensor.shape.dim
    ]
    shape = tuple(dims) if tensor.HasField("shape") else None
    return Port(value.name, element_type(tensor.elem_type), shape)


# TorchScript


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


def _read_torchscript(path: Path) -> Facts:
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            layers = _by_size(_archive_layers(archive))
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
            f"{path} is not a readable TorchScript file: {said[0]}", _DAMAGED_HINT
        ) from error
    operators = Counter(kind for kind in _kinds(graph) if not kind.startswith("prim::"))
    return Facts(
        operators=dict(sorted(operators.items())),
        version=version,
        weight_bytes=_weight_bytes(layers),
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
