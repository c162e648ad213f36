"""The sensitivity of the layers of a PyTorch model: each alone with rounded weights and input."""

import torch
from torch import Tensor, nn

from pipeline.progress import Bar
from pipeline.quantize.exclude import PREFIX, ancestors, excluded
from pipeline.quantize.recipes import Task
from pipeline.quantize.sensitivity import Sensitivity, few_batches, ranked, sqnr_of
from pipeline.quantize.torchscript import Parts, engine_of, quantizing, take_apart
from pipeline.runtimes import Array
from pipeline.wrap import flatten

LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
LEVELS = 255


def sensitivities(task: Task, bar: Bar) -> list[Sensitivity]:
    """The most sensitive layer first. FX's own quantization rounds the same way: inputs to 8 bits
    of their range, weights to 8 bits for each output."""
    with quantizing(task, engine_of(task)), torch.no_grad():
        parts = take_apart(task)
        batches = few_batches(task)
        layers: dict[str, nn.Module] = {
            name: module
            for name, module in parts.core.model.named_modules()
            if isinstance(module, LAYERS)
            and not excluded(task.config.quantize.exclude, [PREFIX + a for a in ancestors(name)])
        }
        ranges = _ranges(parts, layers, batches)
        reference = [_answers(parts, batch) for batch in batches]
        found = []
        for name, layer in layers.items():
            if name not in ranges:
                continue  # no sample came by
            answers = _alone(parts, layer, ranges[name], batches)
            found.append(
                Sensitivity(PREFIX + name, PREFIX + name, sqnr_of(reference, iter(answers)))
            )
            bar.advance(1, f"sensitivity of {name}")
    return ranked(found)


def _ranges(
    parts: Parts, layers: dict[str, nn.Module], batches: list[list[Array]]
) -> dict[str, tuple[float, float]]:
    """The extremes of each layer's input."""
    found: dict[str, tuple[float, float]] = {}

    def seen(name: str, x: Tensor) -> None:
        low, high = found.get(name, (0.0, 0.0))
        found[name] = min(low, float(x.min())), max(high, float(x.max()))

    hooks = [
        layer.register_forward_pre_hook(lambda _, given, name=name: seen(name, given[0]))
        for name, layer in layers.items()
    ]
    for batch in batches:
        _answers(parts, batch)
    for hook in hooks:
        hook.remove()
    return found


def _alone(
    parts: Parts, layer: nn.Module, span: tuple[float, float], batches: list[list[Array]]
) -> list[list[Array]]:
    """The model's answers with this layer rounded."""
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    before = weight.data
    scale = max((span[1] - span[0]) / LEVELS, 1e-12)
    zero = min(LEVELS, max(0, round(-span[0] / scale)))
    largest = before.abs().reshape(len(before), -1).amax(1).clamp(min=1e-12)
    steps = (largest / 127).reshape(-1, *[1] * (before.dim() - 1))
    hook = layer.register_forward_pre_hook(
        lambda _, given: (torch.fake_quantize_per_tensor_affine(given[0], scale, zero, 0, LEVELS),)
    )
    weight.data = (before / steps).round().clamp(-127, 127) * steps
    try:
        return [_answers(parts, batch) for batch in batches]
    finally:
        weight.data = before
        hook.remove()


def _answers(parts: Parts, batch: list[Array]) -> list[Array]:
    return [tensor.numpy().copy() for tensor in flatten(parts.core(*parts.prepare(batch)))]
