"""FSDP2: parameters, gradients and optimizer state lie in pieces, one in each process."""

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from pipeline.errors import UsageError

# Modules with so many parameters of their own are sharded apart from the rest: 1 M is 4 MB in
# float32, enough that the exchange of one hides behind the computation of another.
SHARDED_APART = 1_000_000


def shard(model: nn.Module, classes: tuple[str, ...], device: torch.device) -> nn.Module:
    """Shards the named classes of modules, or every large one, from the inside out."""
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    named = {type(module).__name__ for module in model.modules()}
    missing = sorted(set(classes) - named)
    if missing:
        raise UsageError(
            f"train.fsdp_wrap: the model has no {', '.join(missing)}.",
            f"Its modules are {', '.join(sorted(named))}.",
        )
    containers = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
    for module in reversed(list(model.modules())):
        if module is model or isinstance(module, containers):
            continue
        whole = type(module).__name__ in classes
        large = not classes and _unsharded(module) >= SHARDED_APART
        if whole or large:
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def _unsharded(module: nn.Module) -> int:
    taken = {
        parameter
        for inner in module.modules()
        if isinstance(inner, FSDPModule)
        for parameter in inner.parameters()
    }
    return sum(p.numel() for p in module.parameters() if p not in taken)
