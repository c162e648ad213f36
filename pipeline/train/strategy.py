"""How a model is spread over the processes: DDP or FSDP2, both torch's own."""

import contextlib
import inspect
import re
import sys
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.train.world import World

# torch 2.15's name for it; the one before is deprecated there.
_OF_DDP = inspect.signature(DistributedDataParallel).parameters
_SYNCS_BUFFERS = (
    "forward_sync_buffers" if "forward_sync_buffers" in _OF_DDP else "broadcast_buffers"
)

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def spread(config: Config, model: nn.Module, world: World, device: torch.device) -> nn.Module:
    """The module to call in a step. The parameters stay those of `model`, also when it shards them.

    Raises UsageError for settings that do not go together.
    """
    train = config.train
    if train.sync_batch_norm and not world.alone:
        from pipeline.train.batchnorm import synchronized  # 2 s of imports that few need

        synchronized(model, device)
    if train.strategy == "fsdp":
        if not dist.is_initialized():
            raise UsageError(
                'train.strategy = "fsdp" shards the model over processes, and there is only one.',
                'Start them: pipeline train --nproc-per-node 2. Or set train.strategy = "ddp".',
            )
        if train.amp == "fp16":
            raise UsageError(
                'train.amp = "fp16" cannot be combined with train.strategy = "fsdp": the scaler '
                "sees only one process's part of the gradients.",
                'Set train.amp = "bf16".',
            )
        from pipeline.train.fsdp import shard

        return shard(model, train.fsdp_wrap, device)
    if world.alone:
        return model
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return model  # build_optimizer says what is wrong
    return DistributedDataParallel(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        bucket_cap_mb=train.bucket_mb,
        find_unused_parameters=train.find_unused_parameters,
        static_graph=train.static_graph,
        gradient_as_bucket_view=True,
        **{_SYNCS_BUFFERS: steps_read_buffers(model)},  # type: ignore[arg-type]
    )


def steps_read_buffers(model: nn.Module) -> bool:
    """Whether a training step may read buffers: each then begins with those of rank 0.

    Batch norm's running statistics are only written there, and shared before each validation.
    """
    written = {
        id(buffer)
        for module in model.modules()
        if type(module) in BATCH_NORMS
        for buffer in module.buffers(recurse=False)
    }
    return any(id(buffer) not in written for buffer in model.buffers())


def exchanging(module: object, last: bool) -> AbstractContextManager[None]:
    """Inside, gradients are exchanged only in the `last` batch of a step."""
    inner = getattr(module, "_orig_mod", module)
    if isinstance(inner, DistributedDataParallel) and not last:
        return inner.no_sync()
    if isinstance(inner, nn.Module) and is_sharded(inner):
        inner.set_requires_gradient_sync(last)  # type: ignore[operator]
    return contextlib.nullcontext()


def moves_gradients(module: object, size: int) -> bool:
    """Whether DDP lays gradients out anew after its first step, and the sums' bits depend on it.

    It takes the order in which they came. Of two summands the order is the same either way.
    """
    inner = getattr(module, "_orig_mod", module)
    if not isinstance(inner, DistributedDataParallel) or size == 2:
        return False
    return bool(inner.static_graph or not inner.find_unused_parameters)


def is_sharded(model: nn.Module) -> bool:
    fsdp = sys.modules.get("torch.distributed.fsdp")  # nobody has sharded without it
    return fsdp is not None and isinstance(model, fsdp.FSDPModule)


def share_buffers(model: nn.Module, world: World) -> None:
    """Rank 0's buffers, such as batch norm's statistics, in every process."""
    buffers = [buffer for buffer in model.buffers() if buffer.numel()]
    if world.alone or not buffers:
        return
    for kind in sorted({buffer.dtype for buffer in buffers}, key=str):
        same = [buffer for buffer in buffers if buffer.dtype == kind]
        flat = torch.cat([buffer.detach().reshape(-1) for buffer in same])
        dist.broadcast(flat, 0)
        parts = torch.split(flat, [buffer.numel() for buffer in same])
        for buffer, part in zip(same, parts, strict=True):
            buffer.detach().copy_(part.view_as(buffer))


def whole_tensor(tensor: Tensor) -> Tensor:
    """A sharded tensor put together; every process calls it."""
    full: Any = getattr(tensor, "full_tensor", None)
    return full() if full else tensor


def unused_parameters(error: BaseException, model: nn.Module) -> UsageError | None:
    """What DDP means by a reduction that was not finished; None for another error."""
    text = str(error)
    if "finished reduction" not in text:
        return None
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    match = re.search(r"did not receive grad for rank \d+: ([\d ]+)", text)
    indices = [int(word) for word in match[1].split()] if match else []
    which = ", ".join(names[i] for i in indices[:5] if i < len(names)) or "some parameters"
    return UsageError(
        f"The loss does not depend on {which}: DDP waits for gradients that never come.",
        "Set train.find_unused_parameters = true (it looks through the graph in each step), or "
        "let the loss use them, or set requires_grad = False on them.",
    )
