"""int8-static for TorchScript: FX post-training quantization of the user's model.

The preprocessing and the output's activation stay float: they lie outside the model.
"""

from typing import Any

import torch
from torch.ao.quantization import QConfigMapping, get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from pipeline.quantize.calibration import calibration_batches, one_batch
from pipeline.quantize.exclude import PREFIX, ancestors, excluded
from pipeline.quantize.recipes import Quantized, Task
from pipeline.quantize.torchscript import (
    ENGINE_CPUS,
    calling,
    engine_of,
    quantizing,
    take_apart,
    to_file,
)

_UNTRACEABLE = (
    'Write "onnx:int8-static" in [quantize] recipes instead of "int8-static", or build the model '
    "without Python branches on values and shapes of tensors."
)


def apply(task: Task) -> Quantized:
    engine = engine_of(task)
    with quantizing(task, engine):
        parts = take_apart(task)
        mapping = _mapping(task, engine, parts.core.model)
        example = parts.prepare(one_batch(task))
        prepared: Any = calling(
            task,
            "torchscript int8-static: tracing the model symbolically (torch.fx)",
            lambda: prepare_fx(parts.core.model, mapping, example),
            _UNTRACEABLE,
        )
        parts.core.model = prepared
        with torch.no_grad():
            for batch in calibration_batches(task):
                parts.core(*parts.prepare(batch))
        parts.core.model = calling(
            task,
            "torchscript int8-static: converting the calibrated model",
            lambda: convert_fx(prepared),
            _UNTRACEABLE,
        ).eval()
        data = to_file(task, parts, "int8-static", branches=False)
    details = {
        "activations": "uint8",
        "weights": "int8 per channel" if engine != "qnnpack" else "int8",
        "engine": engine,
        "calibration": "histogram",
    }
    return Quantized(data, ENGINE_CPUS[engine], details)


def _mapping(task: Task, engine: str, model: torch.nn.Module) -> QConfigMapping:
    """torch's defaults for the engine, without the modules that stay float."""
    mapping = get_default_qconfig_mapping(engine)
    for name, _ in model.named_modules():
        names = [PREFIX + part for part in ancestors(name)] if name else []
        if excluded(task.config.quantize.exclude, names):
            mapping.set_module_name(name, None)
    return mapping
