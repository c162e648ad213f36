"""The sensitivity of the layers of a PyTorch model: FX quantizes each alone, with what it fuses to
it."""

from typing import Any

import torch
from torch import nn
from torch.ao.quantization import QConfigMapping
from torch.ao.quantization.quantize_fx import convert_fx

from pipeline.graph.array import Array
from pipeline.graph.wrap import flatten
from pipeline.quantize.exclude_patterns import PREFIX, ancestors, excluded
from pipeline.quantize.recipes import Task
from pipeline.quantize.sensitivity import few_batches, ranked, sqnr_of
from pipeline.quantize.torchscript.fx import Traced
from pipeline.quantize.torchscript.int8_static import mapping_of
from pipeline.quantize.torchscript.trace import Inputs, Parts, engine_of, quantizing, take_apart
from pipeline.runtimes import array_of
from pipeline.system.progress import Bar
from pipeline.workspace.results.quantize import LayerSensitivity

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def sensitivities(task: Task, bar: Bar) -> list[LayerSensitivity]:
    """The most sensitive layer first. A layer that FX cannot quantize has no place."""
    engine = engine_of(task)
    with quantizing(task, engine), torch.no_grad():
        parts = take_apart(task)
        model = parts.core.model
        batches = [parts.prepare(batch) for batch in few_batches(task)]
        traced = Traced(task, parts, batches)
        reference = _answers(parts, batches)
        usual: Any = mapping_of(task, engine, model)
        found = []
        for name, module in list(model.named_modules()):
            if not isinstance(module, LAYERS) or _stays_float(task, name):
                continue
            known = usual.object_type_qconfigs.get(type(module)) or usual.global_qconfig
            alone = QConfigMapping().set_global(None).set_module_name(name, known)
            try:
                answers = _alone(parts, traced, alone, batches)
            except Exception:  # noqa: S112 - FX refuses a layer by raising whatever it stumbles over
                continue
            sqnr = sqnr_of(reference, iter(answers))
            found.append(LayerSensitivity(layer=PREFIX + name, module=PREFIX + name, sqnr_db=sqnr))
            bar.advance(1, f"sensitivity of {name}")
    return ranked(found)


def _alone(
    parts: Parts, traced: Traced, mapping: QConfigMapping, batches: list[Inputs]
) -> list[list[Array]]:
    """The answers of the model with what `mapping` names quantized."""
    prepared = traced.observed(mapping)
    parts.core.model = prepared
    _answers(parts, batches)
    parts.core.model = convert_fx(prepared)
    return _answers(parts, batches)


def _stays_float(task: Task, name: str) -> bool:
    return excluded(task.config.quantize.exclude, [PREFIX + part for part in ancestors(name)])


def _answers(parts: Parts, batches: list[Inputs]) -> list[list[Array]]:
    return [[array_of(t) for t in flatten(parts.core(*_copies(batch)))] for batch in batches]


def _copies(batch: Inputs) -> Inputs:
    """A model may write into what it is given."""
    return tuple(tensor.clone() for tensor in batch)
