"""int8-static for TorchScript: FX post-training quantization of the user's model.

The preprocessing and the output's activation stay float: they lie outside the model.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.ao.quantization import (
    HistogramObserver,
    MinMaxObserver,
    ObserverBase,
    QConfigMapping,
    get_default_qconfig_mapping,
)
from torch.ao.quantization.quantize_fx import convert_fx

from pipeline.project.library import library
from pipeline.quantize.calibration import calibration_batches, first_batches
from pipeline.quantize.exclude_patterns import PREFIX, ancestors, excluded
from pipeline.quantize.recipes import Quantized, Task, needs_reduced_range
from pipeline.quantize.torchscript.fx import RECIPE, UNTRACEABLE, Traced
from pipeline.quantize.torchscript.trace import (
    ENGINE_CPUS,
    engine_of,
    quantizing,
    take_apart,
    to_file,
)

TRANSPOSED = (
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
)
# Layers with weights, and what torch fuses into them.
LAYERS = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *TRANSPOSED[:3],
    *(F.linear, F.conv1d, F.conv2d, F.conv3d),
    *TRANSPOSED[3:],
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.ReLU, F.relu),
)
OBSERVERS: dict[str, Any] = {"histogram": HistogramObserver, "minmax": MinMaxObserver}
PASSING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Dropout, nn.Identity, nn.Flatten)
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)

COMPARED = 2  # batches on which the graph is compared with the model


def apply(task: Task) -> Quantized:
    engine = engine_of(task)
    with quantizing(task, engine):
        parts = take_apart(task)
        mapping = mapping_of(task, engine, parts.core.model)
        inputs = [parts.prepare(batch) for batch in first_batches(task, COMPARED)]
        traced = Traced(task, parts, inputs)
        prepared = _prepared(traced, mapping)
        parts.core.model = prepared
        root = task.config.root
        for number, batch in enumerate(calibration_batches(task)):
            given = parts.prepare(batch)
            with library(f"{RECIPE}: calibrating", root, UNTRACEABLE), torch.no_grad():
                answers = parts.core(*given)
            traced.check_fused(number, answers)
        with library(f"{RECIPE}: converting the calibrated model (torch.ao)", root, UNTRACEABLE):
            parts.core.model = convert_fx(prepared).eval()
        data = to_file(task, parts, "int8-static", branches=False)
    details = {
        "activations": "uint8",
        "weights": "int8 per channel" if engine != "qnnpack" else "int8",
        "engine": engine,
        "reduce_range": engine != "qnnpack" and needs_reduced_range(),
        "calibration": task.observer,
    }
    return Quantized(data, ENGINE_CPUS[engine], details)


def mapping_of(task: Task, engine: str, model: nn.Module) -> QConfigMapping:
    """What is quantized, and how: torch's defaults for the engine, but for three things.

    On x86 those keep activations to 7 bits, for CPUs where the sum of two products saturates;
    where it cannot, they have all 8. In a model with layer or group norms only layers are
    quantized: what such models add up from layer to layer loses too much in 8 bits. And what the
    configuration excludes stays float, as do transposed convolutions but for qnnpack: x86's kernels
    answer them wrongly (3 x 3 of stride 2: an SQNR of 8 dB, in 4 groups -3), onednn has none.
    """
    mapping = get_default_qconfig_mapping(engine)
    if engine != "qnnpack":
        observer = OBSERVERS[task.observer]
        _set_activations(mapping, observer.with_args(reduce_range=needs_reduced_range()))
        for operator in TRANSPOSED:
            mapping.set_object_type(operator, None)
    if any(isinstance(module, NORMS) for module in model.modules()):
        _keep_layers_alone(mapping)
    for name, _ in model.named_modules():
        names = [PREFIX + part for part in ancestors(name)] if name else []
        if excluded(task.config.quantize.exclude, names):
            mapping.set_module_name(name, None)
    return mapping


def _set_activations(mapping: QConfigMapping, observer: Any) -> None:
    """Operators whose range is fixed by what they are, such as sigmoid, keep theirs."""
    default: Any = mapping.global_qconfig
    known: Any = mapping.object_type_qconfigs
    for operator, given in [(None, default), *known.items()]:
        if given.activation is default.activation:
            changed = given._replace(activation=observer)
            if operator is None:
                mapping.set_global(changed)
            else:
                mapping.set_object_type(operator, changed)


def _keep_layers_alone(mapping: QConfigMapping) -> None:
    default: Any = mapping.global_qconfig
    known: Any = mapping.object_type_qconfigs
    for operator in [*known, *LAYERS]:
        layer = operator in LAYERS
        mapping.set_object_type(operator, known.get(operator, default) if layer else None)
    mapping.set_global(None)


def _prepared(traced: Traced, mapping: QConfigMapping) -> Any:
    """The model with observers. Layers whose weight it also reads by itself, as in
    `self.layer.weight.device`, stay float: a quantized layer has no such tensor."""
    first = traced.observed(mapping)
    called = {node.target for node in first.graph.nodes if node.op == "call_module"}
    tensors = [str(node.target) for node in first.graph.nodes if node.op == "get_attr"]
    kept = sorted(called & {name.rpartition(".")[0] for name in tensors})
    kept += _passing_on(first)
    for name in kept:
        mapping.set_module_name(name, None)
    return traced.observed(mapping) if kept else first


def _passing_on(prepared: Any) -> list[str]:
    """Modules that move values behind a layer that stays float: int8 there would round what the
    layer was kept float for."""
    modules = dict(prepared.named_modules(remove_duplicate=False))  # observers are shared
    found = []
    for node in prepared.graph.nodes:
        if node.op != "call_module" or type(modules[node.target]) not in PASSING:
            continue
        before = node.args[0]
        while before.op == "call_module" and not hasattr(modules[before.target], "weight"):
            inside = modules[before.target]
            if type(inside) not in PASSING and not isinstance(inside, ObserverBase | nn.ReLU):
                break
            before = before.args[0]
        layer = modules.get(before.target) if before.op == "call_module" else None
        if layer is not None and _is_float(layer):
            found.append(str(node.target))
    return found


def _is_float(layer: nn.Module) -> bool:
    """A layer with a weight, fused with what follows it or not, that has no way of quantization."""
    inner = layer[0] if isinstance(layer, nn.Sequential) else layer
    return isinstance(inner, LAYERS[:7]) and getattr(layer, "qconfig", None) is None
