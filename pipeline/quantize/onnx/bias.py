"""Bias correction: rounding the weights moves the mean of a layer's output; the bias moves it back.

Nagel et al., *Data-free quantization through weight equalization and bias correction*, 2019,
section 4.2, with the means of the inputs as the calibration samples show them.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, numpy_helper

from pipeline.quantize.onnx.calibration import Observed
from pipeline.quantize.onnx.weights import Layer, layers_of, put, rounded
from pipeline.quantize.scheme import StaticScheme

Floats = NDArray[np.float64]


def correct_biases(
    graph: GraphProto, nodes: set[str], observed: Observed, scheme: StaticScheme
) -> None:
    """In place, for those of the named layers that have a bias of their own."""
    for name, layer in layers_of(graph).items():
        channels = observed.channels.get(layer.node.input[0])
        if name not in nodes or channels is None or layer.bias is None:
            continue
        moved = shift(layer, channels.mean, scheme)
        if moved is not None:
            put(layer.bias, numpy_helper.to_array(layer.bias) - moved.astype(np.float32))


def shift(layer: Layer, mean: Floats, scheme: StaticScheme) -> Floats | None:
    """How far rounding the weight moves the mean of each output, [outputs]; None where the means of
    the inputs do not fit. Zero padding is not counted: at borders the inputs' mean is smaller."""
    error = (rounded(layer, scheme) - layer.array).astype(np.float64)
    if layer.groups == 1:
        others = tuple(index for index in range(error.ndim) if index not in (0, 1))
        error = error.sum(axis=others)
        if error.shape[layer.reads] != len(mean):
            return None
        moved: Floats = error @ mean if layer.reads == 1 else mean @ error
        return moved
    outputs, each = error.shape[:2]
    if each * layer.groups != len(mean):
        return None
    error = error.reshape(outputs, each, -1).sum(axis=2)
    groups = np.repeat(mean.reshape(layer.groups, each), outputs // layer.groups, axis=0)
    by_group: Floats = (error * groups).sum(axis=1)
    return by_group
