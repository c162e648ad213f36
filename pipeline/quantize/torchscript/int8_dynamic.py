"""int8-dynamic for TorchScript: int8 weights of linear and recurrent layers, activations measured
as they run."""

from typing import Any

import torch
from torch import nn
from torch.ao.quantization import (
    default_dynamic_qconfig,
    per_channel_dynamic_qconfig,
    quantize_dynamic,
)

from pipeline.project.library import library
from pipeline.quantize.calibration import one_batch
from pipeline.quantize.exclude_patterns import PREFIX, ancestors, excluded
from pipeline.quantize.recipes import Quantized, Task
from pipeline.quantize.torchscript.trace import (
    ENGINE_CPUS,
    Parts,
    engine_of,
    quantizing,
    take_apart,
    to_file,
)

BAG_OF_WEIGHTS = nn.modules.linear.NonDynamicallyQuantizableLinear  # in torch's attention
RECIPE = "torchscript int8-dynamic"
INSTEAD = 'Write "onnx:int8-dynamic" in [quantize] recipes, or leave it out.'
RECURRENT = (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell)


def apply(task: Task) -> Quantized:
    engine = engine_of(task)
    with quantizing(task, engine):
        parts = _take_apart(task)
        settings = _settings(task, parts)
        if settings:
            with library(f"{RECIPE}: quantizing the model (torch.ao)", task.config.root, INSTEAD):
                made: nn.Module = quantize_dynamic(  # type: ignore[no-untyped-call]
                    parts.core.model, settings, dtype=torch.qint8
                )
            parts.core.model = made.eval()
        data = to_file(task, parts, "int8-dynamic", branches=True)
    details = {"activations": "uint8, range at run time", "weights": "int8", "engine": engine}
    return Quantized(data, ENGINE_CPUS[engine], details)


def _take_apart(task: Task) -> Parts:
    """With a model whose layers torch.ao can replace."""
    parts = take_apart(task)
    if isinstance(parts.core.model, nn.Linear):  # torch replaces children alone
        parts.core.model = nn.Sequential(parts.core.model)
    _with_plain_layers(parts.core.model)
    return parts


def _settings(task: Task, parts: Parts) -> dict[str, object]:
    """What torch.ao is to do, by the name of each layer that does not stay float."""
    tried = _take_apart(task)  # the one that is captured has run nothing: it might keep what it saw
    elsewhere = _read_elsewhere(task, tried)
    read = {name for name, module in tried.core.model.named_modules() if module in elsewhere}
    found: dict[str, object] = {}
    for name, module in parts.core.model.named_modules():
        names = [PREFIX + part for part in ancestors(name)] if name else []
        if name in read or excluded(task.config.quantize.exclude, names):
            continue
        if type(module) is nn.Linear:
            found[name] = per_channel_dynamic_qconfig
        elif type(module) in RECURRENT:
            found[name] = default_dynamic_qconfig
    return found


def _read_elsewhere(task: Task, parts: Parts) -> set[nn.Module]:
    """Linear layers whose weight is read by others than themselves while one batch runs.

    `F.linear(x, self.layer.weight)` in an attention, `self.layer.weight.device`: a quantized layer
    has no such tensor.
    """
    read: set[nn.Module] = set()
    running: set[nn.Module] = set()

    def recording(layer: nn.Module, name: str) -> Any:
        if name in ("weight", "bias") and layer not in running:
            read.add(layer)
        return nn.Module.__getattr__(layer, name)

    hooks = []
    for module in parts.core.model.modules():
        if isinstance(module, nn.Linear):
            enter = module.register_forward_pre_hook(lambda layer, _: running.add(layer))
            leave = module.register_forward_hook(lambda layer, _, __: running.discard(layer))
            hooks += [enter, leave]
    nn.Linear.__getattr__ = recording  # type: ignore[method-assign]
    try:
        batch = parts.prepare(one_batch(task))
        with library(f"{RECIPE}: running the model", task.config.root, INSTEAD), torch.no_grad():
            parts.core(*batch)
    finally:
        del nn.Linear.__getattr__
        for hook in hooks:
            hook.remove()
    return read


def _with_plain_layers(model: nn.Module) -> None:
    """Puts torch's own Linear where a subclass computes the same: torch.ao takes exact types."""
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if not isinstance(layer, nn.Linear) or type(layer) in (nn.Linear, BAG_OF_WEIGHTS):
                continue
            x = torch.linspace(-1, 1, 2 * layer.in_features).reshape(2, -1)
            plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
            plain.weight, plain.bias = layer.weight, layer.bias
            try:
                with torch.no_grad():
                    same = torch.equal(plain(x), layer(x))
            except Exception:  # a subclass that takes something else
                same = False
            if same:
                setattr(module, name, plain.eval())
