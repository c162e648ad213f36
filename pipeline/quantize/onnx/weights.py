"""The weights of an ONNX model's layers as arrays: read, changed, and rounded as int8 would."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from pipeline.quantize.scheme import StaticScheme

Floats = NDArray[np.float32]
SINGLE = 2  # axes of a weight that a MatMul multiplies by


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer. Axes are those of the weight: `axis` counts the outputs,
    `reads` the inputs; `groups` of a convolution. `adds` is the node that adds the bias where the
    layer does not do so itself."""

    node: NodeProto
    weight: TensorProto
    axis: int
    reads: int
    groups: int = 1
    bias: TensorProto | None = None
    adds: NodeProto | None = None

    @property
    def array(self) -> Floats:
        return numpy_helper.to_array(self.weight).astype(np.float32)

    @property
    def output(self) -> str:
        """The tensor that has the bias in it."""
        return str((self.adds or self.node).output[0])

    @property
    def depthwise(self) -> bool:
        """One output channel for each input channel."""
        shape = self.weight.dims
        return self.groups > 1 and shape[1] == 1 and shape[0] == self.groups


def layers_of(graph: GraphProto) -> dict[str, Layer]:
    """By the node's name: those whose weight is an initializer that no other node reads."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = {}
    for node in graph.node:
        weight = stored.get(node.input[1]) if len(node.input) > 1 else None
        if weight is None or len(readers[weight.name]) > 1:
            continue
        layer = _layer(node, weight, stored, readers)
        if layer is not None:
            found[node.name] = layer
    return found


def _layer(
    node: NodeProto,
    weight: TensorProto,
    stored: dict[str, TensorProto],
    readers: dict[str, list[NodeProto]],
) -> Layer | None:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    own = stored.get(node.input[2]) if len(node.input) > 2 else None
    if node.op_type == "Conv":
        return Layer(node, weight, 0, 1, attributes.get("group", 1), own)
    if node.op_type == "ConvTranspose" and attributes.get("group", 1) == 1:
        return Layer(node, weight, 1, 0, 1, own)
    if node.op_type == "Gemm" and not attributes.get("transA"):
        turned = bool(attributes.get("transB"))
        plain = attributes.get("alpha", 1.0) == 1.0 and attributes.get("beta", 1.0) == 1.0
        return Layer(node, weight, int(not turned), int(turned), 1, own) if plain else None
    if node.op_type == "MatMul" and len(weight.dims) == SINGLE:
        bias, adds = _added(node, stored, readers)
        return Layer(node, weight, 1, 0, 1, bias, adds)
    return None


def _added(
    node: NodeProto, stored: dict[str, TensorProto], readers: dict[str, list[NodeProto]]
) -> tuple[TensorProto | None, NodeProto | None]:
    """The bias that the next node adds to a MatMul."""
    following = readers.get(node.output[0], [])
    if len(following) != 1 or following[0].op_type != "Add":
        return None, None
    for name in following[0].input:
        if name in stored and len(stored[name].dims) == 1:
            return stored[name], following[0]
    return None, None


def put(tensor: TensorProto, values: NDArray[Any]) -> None:
    """Replaces what an initializer holds, in place."""
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), tensor.name))


def rounded(layer: Layer, scheme: StaticScheme) -> Floats:
    """The weight after rounding to int8: symmetric, as ONNX Runtime's quantizer does it."""
    weight = layer.array
    others = tuple(index for index in range(weight.ndim) if index != layer.axis)
    axes = others if scheme.per_channel else None
    largest = np.abs(weight).max(axis=axes, keepdims=True)
    scale = np.where(largest > 0, largest / scheme.largest_weight, 1.0).astype(np.float32)
    result: Floats = np.clip(
        np.round(weight / scale), -scheme.largest_weight, scheme.largest_weight
    )
    return (result * scale).astype(np.float32)
