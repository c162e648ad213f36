"""Weights that a model computes anew in each call, as what they are once it is trained."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm


def settle_weights(model: nn.Module) -> list[str]:
    """Computes the weights of parametrizations, of weight and spectral norms and of pruning once,
    in place, and gives their names. In evaluation mode the answers stay what they are, and a graph
    holds plain weights, which exporters know and recipes quantize.
    """
    if isinstance(model, torch.jit.ScriptModule):
        return []
    settled = []
    with torch.no_grad():
        for path, module in list(model.named_modules()):
            settled += [f"{path}.{name}".lstrip(".") for name in _settle(module)]
    return settled


def _settle(module: nn.Module) -> Iterator[str]:
    if parametrize.is_parametrized(module):
        for name in list(module.parametrizations):  # type: ignore[arg-type]
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
            _as_parameter(module, name)
            yield name
    for hook in list(module._forward_pre_hooks.values()):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
            yield hook.name
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
            yield hook.name
        elif isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)  # type: ignore[no-untyped-call]
            yield str(hook._tensor_name)


def _as_parameter(module: nn.Module, name: str) -> None:
    """What was made of several tensors is left as a plain one where it needs no gradient."""
    if name not in module._parameters:
        weight = getattr(module, name).detach()
        delattr(module, name)
        module.register_parameter(name, nn.Parameter(weight, requires_grad=False))
