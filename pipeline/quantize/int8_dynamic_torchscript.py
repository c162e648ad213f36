"""int8-dynamic for TorchScript: int8 weights of linear and recurrent layers, activations measured
as they run."""

import torch
from torch import nn
from torch.ao.quantization import (
    default_dynamic_qconfig,
    per_channel_dynamic_qconfig,
    quantize_dynamic,
)

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

RECURRENT = (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell)


def apply(task: Task) -> Quantized:
    engine = engine_of(task)
    with quantizing(task, engine):
        parts = take_apart(task)
        settings = _settings(task, parts.core.model)
        if isinstance(parts.core.model, nn.Linear):  # torch replaces children alone
            parts.core.model = nn.Sequential(parts.core.model)
            settings = dict(zip(("0",), settings.values(), strict=True))
        if settings:
            model = parts.core.model
            parts.core.model = calling(
                task,
                "torchscript int8-dynamic: quantizing the model",
                lambda: quantize_dynamic(model, settings, dtype=torch.qint8),  # type: ignore[no-untyped-call]
                'Write "onnx:int8-dynamic" in [quantize] recipes, or leave it out.',
            ).eval()
        data = to_file(task, parts, "int8-dynamic", branches=True)
    details = {"activations": "uint8, range at run time", "weights": "int8", "engine": engine}
    return Quantized(data, ENGINE_CPUS[engine], details)


def _settings(task: Task, model: nn.Module) -> dict[str, object]:
    """What torch.ao is to do, by the name of each layer that does not stay float.

    The exact types: torch's attention has a subclass of Linear that it uses as a bag of weights.
    """
    found: dict[str, object] = {}
    for name, module in model.named_modules():
        names = [PREFIX + part for part in ancestors(name)] if name else []
        if excluded(task.config.quantize.exclude, names):
            continue
        if type(module) is nn.Linear:
            found[name] = per_channel_dynamic_qconfig
        elif type(module) in RECURRENT:
            found[name] = default_dynamic_qconfig
    return found
