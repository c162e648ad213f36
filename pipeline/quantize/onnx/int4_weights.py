"""int4-weights for ONNX: as int8-weights, in blocks of 4 bits."""

from pipeline.quantize.onnx.int8_weights import with_bits
from pipeline.quantize.recipes import Quantized, Task


def apply(task: Task) -> Quantized:
    return with_bits(task, 4)
