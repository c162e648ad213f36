"""int8-mixed for ONNX: ranges from samples for convolutions, at run time for linear layers.

For transformers on pictures and other models whose linear layers follow something that ONNX Runtime
computes in float (attention, layer norm): there a range at run time costs less than to quantize
and dequantize around each layer. A convolution would pay more for it than int8 saves.
"""

from collections.abc import Collection

from onnx import ModelProto

from pipeline.quantize.onnx.int8_dynamic import SOURCES, with_dynamic_layers
from pipeline.quantize.onnx.qdq import CalibratedModel, qdq
from pipeline.quantize.scheme import StaticScheme


def mixed(
    calibrated: CalibratedModel,
    scheme: StaticScheme,
    patterns: tuple[str, ...],
    kept_float: Collection[str] = (),
) -> ModelProto:
    """A quantized copy. Layers that `patterns` or `kept_float` name stay float."""
    linear = {node.name for node in calibrated.model.graph.node if node.op_type in SOURCES}
    static = qdq(calibrated, scheme, {*linear, *kept_float})
    return with_dynamic_layers(static, patterns, scheme.reduce_range, kept_float)
