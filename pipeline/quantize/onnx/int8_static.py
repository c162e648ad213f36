"""int8-static for ONNX: quantize and dequantize nodes around the layers, ranges from samples."""

from pipeline.formats.onnx.write import onnx_bytes
from pipeline.quantize.onnx.qdq import calibrate, details_of, folded, qdq
from pipeline.quantize.recipes import Quantized, Task
from pipeline.quantize.scheme import default_scheme


def apply(task: Task) -> Quantized:
    """The usual way for the kind of CPU; the search tries others."""
    scheme = default_scheme(task.target)
    calibrated = calibrate(task, *folded(task))
    model = qdq(calibrated, scheme)
    data = onnx_bytes(model, f"{task.source.id} as int8-static")
    return Quantized(data, task.target, details_of(scheme, model, calibrated.note))
