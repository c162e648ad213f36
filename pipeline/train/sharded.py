"""A sharded model on the disk, by torch.distributed.checkpoint: each process writes its part."""

import errno
import hashlib
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from pipeline.errors import DamagedError, last_line
from pipeline.train.checkpoint import SHARDS, writing
from pipeline.train.state import Learner
from pipeline.train.world import World


def staged(learner: Learner) -> dict[str, Any]:
    """Copies of this process's part of model and optimizer, in the CPU's memory."""
    options = StateDictOptions(cpu_offload=True)
    model, optimizer = get_state_dict(learner.model, learner.optimizer, options=options)
    copied: dict[str, Any] = torch.utils._pytree.tree_map_only(
        torch.Tensor, lambda tensor: tensor.detach().clone(), {"model": model, "optim": optimizer}
    )
    return copied


def write(
    draft: Path, shards: dict[str, Any], world: World, group: dist.ProcessGroup
) -> dict[str, str]:
    """Writes and flushes all parts below `draft`; the SHA-256 of each file of them.

    Every process calls it, from a thread that has `group` for itself. Raises SetupError in each
    if the disk of one refuses.
    """
    folder = draft / SHARDS
    with writing(draft.parent):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            writer = FileSystemWriter(folder, sync_files=True)
            save(shards, storage_writer=writer, process_group=group)
        except CheckpointException as error:
            raise _as_os_error(error) from error
        mine = sorted(folder.glob(f"__{world.rank}_*"))
        mine += [folder / ".metadata"] if world.first else []
        own = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in mine}
    everyone: list[dict[str, str]] = [{}] * world.size
    dist.all_gather_object(everyone, own, group=group)
    return {name: digest for hashes in everyone for name, digest in hashes.items()}


def whole(model: nn.Module) -> dict[str, Tensor]:
    """The state dict of a sharded model, put together in rank 0; every process calls it."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    tensors: dict[str, Any] = get_model_state_dict(model, options=options)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def read(path: Path, learner: Learner) -> None:
    """Fills model and optimizer, also when more or fewer processes wrote it."""
    model, optimizer = get_state_dict(learner.model, learner.optimizer)
    shards: dict[str, Any] = {"model": model, "optim": optimizer}
    _load(path, shards)
    set_state_dict(
        learner.model,
        learner.optimizer,
        model_state_dict=shards["model"],
        optim_state_dict=shards["optim"],
    )


def read_model(path: Path, learner: Learner) -> None:
    """Fills the model alone."""
    shards = {"model": get_model_state_dict(learner.model)}
    _load(path, shards)
    set_model_state_dict(learner.model, shards["model"])


def _load(path: Path, shards: dict[str, Any]) -> None:
    try:
        load(shards, storage_reader=FileSystemReader(path / SHARDS))
    except (CheckpointException, OSError) as error:
        raise DamagedError(f"The checkpoint {path} cannot be read: {last_line(error)}.") from error


def _as_os_error(error: CheckpointException) -> OSError:
    """The operating system's refusal that made a process fail."""
    for cause, *_ in error.failures.values():
        if isinstance(cause, OSError):
            return cause
    full = "No space left" in str(error) or "PytorchStreamWriter failed" in str(error)
    return OSError(
        errno.ENOSPC if full else errno.EIO, "No space left on device" if full else str(error)
    )
