"""int8-static for ONNX: quantize and dequantize nodes around the layers, ranges from samples."""

from pipeline.onnx_file import onnx_bytes
from pipeline.quantize.how import usual
from pipeline.quantize.onnx_qdq import folded, ground, qdq, told
from pipeline.quantize.recipes import Quantized, Task


def apply(task: Task) -> Quantized:
    """The usual way for the kind of CPU; the search tries others."""
    how = usual(task.target)
    floor = ground(task, *folded(task))
    model = qdq(floor, how)
    data = onnx_bytes(model, f"{task.source.id} as int8-static")
    return Quantized(data, task.target, told(how, model, floor.note))
