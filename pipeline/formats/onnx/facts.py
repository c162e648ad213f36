"""The facts of an ONNX file."""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

from pipeline.errors import DamagedError
from pipeline.formats.facts import DAMAGED_HINT, Facts, Layer, Port, by_size, weight_bytes
from pipeline.formats.onnx.graphs import graphs_of, nodes_of, plain_domain
from pipeline.formats.onnx.load import load_onnx


def read_onnx(path: Path) -> Facts:
    model = _load(path)
    layers = by_size(_onnx_layers(model.graph))
    operators: Counter[str] = Counter()
    for node in nodes_of(model):
        domain = plain_domain(node.domain)
        operators[f"{domain}.{node.op_type}" if domain else node.op_type] += 1
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    stored = {tensor.name for tensor in model.graph.initializer}
    return Facts(
        operators=dict(sorted(operators.items())),
        version=opsets.get("ai.onnx", 0),
        weight_bytes=weight_bytes(layers),
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


def _load(path: Path) -> ModelProto:
    """Parses an ONNX file without its external data.

    Raises DamagedError if it is no ONNX model: protobuf alone accepts many other bytes.
    """
    model = load_onnx(path, external_data=False)
    if model.ir_version < 1 or not model.opset_import or not model.graph.node:
        raise DamagedError(f"{path} is not an ONNX model: it has no graph.", DAMAGED_HINT)
    return model


def element_type(code: int) -> str:
    """NumPy's name of an ONNX element type; ONNX's own where NumPy has none (`bfloat16`)."""
    try:
        name = str(onnx.TensorProto.DataType.Name(code)).lower()
    except ValueError:
        return f"type {code}"
    return {"float": "float32", "double": "float64"}.get(name, name)


def _onnx_layers(graph: GraphProto) -> Iterator[Layer]:
    """Initializers and tensors of Constant nodes, in the graph and those inside it."""
    for part in graphs_of(graph):
        for tensor in part.initializer:
            yield _onnx_layer(tensor.name, tensor)
        for sparse in part.sparse_initializer:
            yield _onnx_layer(sparse.values.name, sparse.values)
        for node in part.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.HasField("t"):
                    yield _onnx_layer(node.output[0], attribute.t)


def _onnx_layer(name: str, tensor: TensorProto) -> Layer:
    dtype = element_type(tensor.data_type)
    count = math.prod(tensor.dims)
    if tensor.data_type == onnx.TensorProto.STRING:
        size = sum(len(text) for text in tensor.string_data)
    elif dtype in ("int4", "uint4", "float4e2m1"):
        size = (count + 1) // 2
    else:
        size = count * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return Layer(name, dtype, tuple(tensor.dims), size)


def _onnx_port(value: ValueInfoProto) -> Port:
    tensor = value.type.tensor_type
    dims = [
        dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or None)
        for dim in tensor.shape.dim
    ]
    shape = tuple(dims) if tensor.HasField("shape") else None
    return Port(value.name, element_type(tensor.elem_type), shape)
