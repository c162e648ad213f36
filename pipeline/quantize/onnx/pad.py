"""Convolutions on pictures, given a fourth channel of zeros.

ONNX Runtime has kernels that compute an int8 convolution where its input lies, for channels in
fours; of other inputs it copies every window out first. For 3 × 3 kernels on three channels that
copy takes more time than the convolution. `scripts/padding_bench.py` prints what a fourth channel
gains for kernels, channels and outputs; `worth_it` is what was read from it.
"""

from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from pipeline.formats.onnx.graphs import PADDING
from pipeline.quantize.onnx.graph import constants, inputs_of, producers, replace_nodes

CHANNELS = 4
FEWEST_OUTPUTS = 16  # that the kernel computes at once
LARGEST_STRIDE = 2
LARGEST_KERNEL = {1: 3, 2: 3, 3: 7}  # by input channels: zeros are multiplied as well
RANK = 4  # [batch, channels, height, width]


def worth_it(outputs: int, channels: int, kernel: tuple[int, int], stride: int) -> bool:
    """Whether the fourth channel takes less time than it saves."""
    largest = LARGEST_KERNEL.get(channels, 0)
    return outputs >= FEWEST_OUTPUTS and max(kernel) <= largest and stride <= LARGEST_STRIDE


def pad_channels(graph: GraphProto) -> int:
    """Pads the inputs and weights of such convolutions, in place, in a graph with quantize and
    dequantize nodes around them; how many that were. The answers stay the same: what is added is
    zero times zero.

    The channel is added by a product with [1 0 0 0; 0 1 0 0; 0 0 1 0], channels last: a tenth of
    the time that ONNX Runtime's Pad takes there.
    """
    stored, made = constants(graph), producers(graph)
    readers: dict[str, int] = {}
    for node in graph.node:
        for name in inputs_of(node):
            readers[name] = readers.get(name, 0) + 1
    before: dict[str, list[NodeProto]] = {}  # the nodes that go before one, by its output
    for node in graph.node:
        ends = _ends(node, stored, made)
        if ends is None or any(readers[end.output[0]] > 1 for end in ends):
            continue
        quantize, _, weight = ends
        tensor = stored[weight.input[0]]
        channels = tensor.dims[1]
        _widen(tensor)
        added = _padding(quantize.input[0], channels, len(before))
        before[quantize.output[0]] = added
        quantize.input[0] = added[-1].output[0]
        if channels not in {t.dims[0] for t in graph.initializer if t.name.startswith(PADDING)}:
            eye = np.eye(channels, CHANNELS, dtype=np.float32)
            graph.initializer.append(numpy_helper.from_array(eye, f"{PADDING}.{channels}"))
    nodes = list(graph.node)
    replace_nodes(graph, [n for node in nodes for n in (*before.get(node.output[0], ()), node)])
    return len(before)


def _ends(
    node: NodeProto, stored: dict[str, TensorProto], made: dict[str, NodeProto]
) -> tuple[NodeProto, NodeProto, NodeProto] | None:
    """Of a convolution that is worth it, whose input is quantized from float right before it: the
    nodes that quantize it, dequantize it, and dequantize the weight."""
    if node.op_type != "Conv":
        return None
    back, weight = (made.get(name) for name in node.input[:2])
    quantize = None if back is None else made.get(back.input[0])
    if back is None or weight is None or quantize is None:
        return None
    if (quantize.op_type, back.op_type, weight.op_type) != (
        "QuantizeLinear",
        "DequantizeLinear",
        "DequantizeLinear",
    ):
        return None
    source, tensor = made.get(quantize.input[0]), stored.get(weight.input[0])
    if tensor is None or len(tensor.dims) != RANK or _is_int8(source):
        return None
    attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    outputs, channels, *kernel = tensor.dims
    stride = min(attributes.get("strides", [1]))
    fits = attributes.get("group", 1) == 1 and max(attributes.get("dilations", [1])) == 1
    if not fits or not worth_it(outputs, channels, (kernel[0], kernel[1]), stride):
        return None
    return quantize, back, weight


def _is_int8(source: NodeProto | None) -> bool:
    """Whether a tensor is quantized already: a float node before it would split what is fused."""
    return source is not None and source.op_type == "DequantizeLinear"


def _widen(tensor: TensorProto) -> None:
    weight = numpy_helper.to_array(tensor)
    missing = CHANNELS - weight.shape[1]
    wide = np.pad(weight, ((0, 0), (0, missing), (0, 0), (0, 0)))
    tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))


def _padding(name: str, channels: int, number: int) -> list[NodeProto]:
    """[batch, channels, height, width] → [batch, 4, height, width]. ONNX Runtime drops
    transpositions that undo one another, and its int8 convolutions have channels last."""
    own = f"{PADDING}.{number}"
    last, wide, first = f"{own}.last", f"{own}.wide", f"{own}.first"
    return [
        helper.make_node("Transpose", [name], [last], last, perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", [last, f"{PADDING}.{channels}"], [wide], wide),
        helper.make_node("Transpose", [wide], [first], first, perm=[0, 3, 1, 2]),
    ]
