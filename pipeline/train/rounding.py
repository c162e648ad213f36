"""Quantization-aware epochs: the model is trained on with int8 rounding in it.

Convolutions and linear layers see their input and their weight as int8 would hold them; gradients
go through as if nothing had been rounded (the straight-through estimator: Jacob et al.,
*Quantization and training of neural networks for efficient integer-arithmetic-only inference*,
2018). Parameters keep their names and stay float, so that everything else takes the weights as any
others: checkpoints, several processes, export and the quantizers.
"""

from collections.abc import Callable
from types import MethodType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.config import Config

LEVELS = 255
LARGEST = 127
SLOWER = 0.1  # of `[train] lr`: the weights lie near a minimum already


class Rounding:
    """Whether the layers of a model round: not until the epochs of `[train]` are done."""

    def __init__(self) -> None:
        self.on = False


def install(model: nn.Module, config: Config) -> Rounding:
    """Gives each layer of the model a forward that rounds while the returned one is on."""
    rounding = Rounding()
    if config.quantize.qat_epochs:
        for module in model.modules():
            forward = _forward_of(module)
            if forward is not None:
                module.forward = MethodType(_switched(rounding, forward), module)
    return rounding


def begin(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """The learning rate of the quantization-aware epochs, whatever the scheduler has left."""
    for group in optimizer.param_groups:
        group["lr"] = lr * SLOWER


Forward = Callable[[nn.Module, Tensor], Tensor]


def _switched(rounding: Rounding, rounded: Forward) -> Forward:
    def forward(layer: nn.Module, x: Tensor) -> Tensor:
        plain: Forward = type(layer).forward
        return rounded(layer, x) if rounding.on else plain(layer, x)

    return forward


def _forward_of(module: nn.Module) -> Forward | None:
    """By exact type: a subclass may do anything else."""
    if type(module) is nn.Linear:
        return _linear
    if type(module) in (nn.Conv1d, nn.Conv2d, nn.Conv3d):
        return _convolution
    return None


def _linear(layer: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(layer, nn.Linear)
    return F.linear(round_activations(x), round_weights(layer.weight), layer.bias)


def _convolution(layer: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d)
    output: Tensor = layer._conv_forward(
        round_activations(x), round_weights(layer.weight), layer.bias
    )
    return output


def round_activations(x: Tensor) -> Tensor:
    """To 256 levels over the range of this batch, zero among them. Any shape, any float dtype."""
    low, high = x.detach().amin().clamp(max=0), x.detach().amax().clamp(min=0)
    scale = ((high - low) / LEVELS).clamp(min=1e-12)
    zero = (-low / scale).round()
    rounded = ((x / scale).round() + zero).clamp(0, LEVELS) - zero
    return x + (rounded * scale - x).detach()


def round_weights(weight: Tensor) -> Tensor:
    """To int8 around zero, a scale for each output, [outputs, ...]."""
    others = tuple(range(1, weight.dim()))
    scale = (weight.detach().abs().amax(dim=others, keepdim=True) / LARGEST).clamp(min=1e-12)
    rounded = (weight / scale).round().clamp(-LARGEST, LARGEST) * scale
    return weight + (rounded - weight).detach()
