"""The same model with channels of other sizes, which 8 bits hold better.

A channel of a tensor is divided by a factor where it is made, and the weights that read it are
multiplied by the same. Layers, Relu and pooling pass a positive factor through; LayerNormalization
takes it into its own scale. Cross-layer equalization (Nagel et al., 2019) chooses factors that
make the weights before and behind alike; SmoothQuant (Xiao et al., 2022) such that large channels
of activations become smaller and their weights larger.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from pipeline.quantize.candidates import Transform
from pipeline.quantize.onnx.calibration import Channels
from pipeline.quantize.onnx.graph import replace_nodes
from pipeline.quantize.onnx.qdq import CalibratedModel
from pipeline.quantize.onnx.weights import Layer, layers_of, put

Floats = NDArray[np.float64]
MIGRATION = 0.5  # how much of the difficulty goes into the weights: SmoothQuant's alpha
WIDEST = 1e4  # a factor beyond it says more of dead channels than of large ones
PASSES = ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Identity")

# (weights of the producer and of the readers by channel, activations) → factors
Choose = Callable[[list[Floats], list[Floats], Channels | None], Floats]


def transformed(calibrated: CalibratedModel, transform: Transform) -> ModelProto:
    """A float copy that answers the same, but for rounding."""
    model = ModelProto()
    model.CopyFrom(calibrated.model)
    choose = _equalizing if transform == "equalized" else _smoothing
    scaled = _Rescaler(model.graph)
    for tensor in scaled.tensors():
        channels = calibrated.observed.channels.get(tensor)
        scaled.rescale(tensor, channels, choose, inserts=transform == "smoothed")
    return model


def _equalizing(before: list[Floats], behind: list[Floats], _: Channels | None) -> Floats:
    """sqrt(r1 · r2) / r2 a channel: the ranges of both weights become their geometric mean."""
    if not before:
        return np.ones_like(behind[0])
    first, second = np.max(before, axis=0), np.max(behind, axis=0)
    known = (first > 0) & (second > 0)
    return np.where(known, np.sqrt(np.where(known, first / np.where(known, second, 1), 1)), 1.0)


def _smoothing(_: list[Floats], behind: list[Floats], channels: Channels | None) -> Floats:
    """max|x|^alpha / max|w|^(1 - alpha)."""
    second = np.max(behind, axis=0)
    if channels is None or len(channels.largest) != len(second):
        return np.ones_like(second)
    first = channels.largest
    known = (first > 0) & (second > 0)
    factors = np.where(known, first, 1) ** MIGRATION / np.where(known, second, 1) ** (1 - MIGRATION)
    return np.where(known, factors, 1.0)


class _Rescaler:
    """A graph with its layers, and who makes and reads each tensor."""

    def __init__(self, graph: GraphProto) -> None:
        self.graph = graph
        self._look()

    def _look(self) -> None:
        graph = self.graph
        self.layers = layers_of(graph)
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.made = {name: node for node in graph.node for name in node.output if name}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)
        self.outputs = {value.name for value in graph.output}

    def tensors(self) -> list[str]:
        """What layers with weights read."""
        return list(dict.fromkeys(layer.node.input[0] for layer in self.layers.values()))

    def rescale(
        self, tensor: str, channels: Channels | None, choose: Choose, inserts: bool
    ) -> bool:
        """`inserts`: where nothing before the tensor takes the factors, a Mul does."""
        readers = self.readers.get(tensor, [])
        behind = [self.layers.get(node.name) for node in readers]
        if tensor in self.outputs or not readers or any(layer is None for layer in behind):
            return False
        known = [layer for layer in behind if layer is not None]
        if any(layer.groups > 1 and not layer.depthwise for layer in known):
            return False
        sizes = [_by_input(layer) for layer in known]
        before = self._producer(tensor)
        own = [_by_output(before)] if isinstance(before, Layer) else []
        if before is None and not inserts:
            return False
        factors = choose(own, sizes, channels)
        factors = np.clip(factors / np.exp(np.log(factors).mean()), 1 / WIDEST, WIDEST)
        if {len(each) for each in (*own, *sizes)} != {len(factors)} or np.allclose(factors, 1):
            return False
        if isinstance(before, Layer):
            _divide_layer(before, factors)
        elif before is not None:
            self._divide_norm(before, factors)
        elif not self._insert(tensor, factors, readers):
            return False
        for layer in known:
            _multiply(layer, factors)
        return True

    def _producer(self, tensor: str) -> Layer | NodeProto | None:
        """The layer or the norm that makes a tensor which goes nowhere else on its way."""
        by_bias = {layer.output: layer for layer in self.layers.values()}
        name, first = tensor, True
        while first or len(self.readers.get(name, [])) == 1:
            first = False
            if name in self.outputs:
                return None
            node = self.made.get(name)
            if name in by_bias:
                layer = by_bias[name]
                lone = layer.adds is None or len(self.readers[layer.node.output[0]]) == 1
                return layer if lone and (layer.groups == 1 or layer.depthwise) else None
            if node is None or node.op_type not in PASSES:
                norm = node is not None and node.op_type == "LayerNormalization"
                return node if node is not None and norm and self._own(node) else None
            name = node.input[0]
        return None

    def _own(self, node: NodeProto) -> bool:
        return all(
            name in self.stored and len(self.readers[name]) == 1 for name in node.input[1:] if name
        )

    def _divide_norm(self, node: NodeProto, factors: Floats) -> None:
        for name in node.input[1:]:
            if name:
                put(self.stored[name], numpy_helper.to_array(self.stored[name]) / factors)

    def _insert(self, tensor: str, factors: Floats, readers: list[NodeProto]) -> bool:
        """A Mul between the tensor and its readers. For activations of linear layers, whose
        channels are the last axis."""
        if any(node.op_type not in ("Gemm", "MatMul") for node in readers):
            return False
        name, scaled = f"{tensor}.factors", f"{tensor}.smoothed"
        values = (1 / factors).astype(np.float32)
        self.graph.initializer.append(numpy_helper.from_array(values, name))
        product = helper.make_node("Mul", [tensor, name], [scaled], scaled)
        for node in readers:
            node.input[0] = scaled
        where = next(i for i, node in enumerate(self.graph.node) if scaled in node.input)
        nodes = list(self.graph.node)
        replace_nodes(self.graph, [*nodes[:where], product, *nodes[where:]])
        self._look()  # the nodes are others now
        return True


def _by_input(layer: Layer) -> Floats:
    """The largest magnitude of the weights that read each input channel."""
    axis = 0 if layer.depthwise else layer.reads
    return _largest(layer, axis)


def _by_output(layer: Layer) -> Floats:
    return _largest(layer, layer.axis)


def _largest(layer: Layer, axis: int) -> Floats:
    weight = np.abs(layer.array).astype(np.float64)
    others = tuple(index for index in range(weight.ndim) if index != axis)
    largest: Floats = weight.max(axis=others)
    return largest


def _shaped(layer: Layer, factors: Floats, axis: int) -> Floats:
    shape = [1] * len(layer.weight.dims)
    shape[axis] = -1
    return factors.reshape(shape)


def _divide_layer(layer: Layer, factors: Floats) -> None:
    put(layer.weight, layer.array / _shaped(layer, factors, layer.axis))
    if layer.bias is not None:
        put(layer.bias, numpy_helper.to_array(layer.bias) / factors)


def _multiply(layer: Layer, factors: Floats) -> None:
    axis = 0 if layer.depthwise else layer.reads
    put(layer.weight, layer.array * _shaped(layer, factors, axis))
