"""int8-mixed for ONNX: ranges from samples for convolutions, at run time for linear layers.

For transformers on pictures and other models whose linear layers follow something that ONNX Runtime
computes in float (attention, layer norm): there a range at run time costs less than to quantize
and dequantize around each layer. A convolution would pay more for it than int8 saves.
"""

from collections.abc import Collection

from onnx import ModelProto

from pipeline.onnx_file import onnx_bytes
from pipeline.quantize.how import How, usual
from pipeline.quantize.int8_dynamic import SOURCES, with_dynamic_layers
from pipeline.quantize.onnx_qdq import Ground, folded, ground, qdq, told
from pipeline.quantize.recipes import Quantized, Task


def apply(task: Task) -> Quantized:
    """The usual way for the kind of CPU; the search tries others."""
    how = usual(task.target)
    floor = ground(task, *folded(task))
    model = mixed(floor, how, task.config.quantize.exclude)
    data = onnx_bytes(model, f"{task.source.id} as int8-mixed")
    return Quantized(data, task.target, told(how, model, floor.note))


def mixed(
    floor: Ground, how: How, patterns: tuple[str, ...], kept_float: Collection[str] = ()
) -> ModelProto:
    """A quantized copy. Layers that `patterns` or `kept_float` name stay float."""
    linear = {node.name for node in floor.model.graph.node if node.op_type in SOURCES}
    static = qdq(floor, how, {*linear, *kept_float})
    return with_dynamic_layers(static, patterns, how.reduce_range, kept_float)
