"""int8-static for ONNX: quantize and dequantize nodes around the layers, ranges from samples."""

from collections.abc import Collection

from onnx import ModelProto

from pipeline.quantize.onnx.qdq import CalibratedModel, qdq
from pipeline.quantize.scheme import StaticScheme


def static(
    calibrated: CalibratedModel,
    scheme: StaticScheme,
    patterns: tuple[str, ...],
    kept_float: Collection[str] = (),
) -> ModelProto:
    """A quantized copy. `patterns` have had their say when the model was calibrated."""
    return qdq(calibrated, scheme, kept_float)
