"""All processes have the same code, configuration and data, or the training doesn't begin."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from pipeline.config import Config
from pipeline.errors import PipelineError, UsageError
from pipeline.project.sources import source_hashes
from pipeline.system.packages import version_of
from pipeline.train.data import BatchMaker, Failure, Share, size_of
from pipeline.train.world import World
from pipeline.workspace.folder import key_of

SAMPLES = 8  # of each set, spread over it: reading all of them could take as long as an epoch
PACKAGES = ("edge-pipeline", "torch", "torchmetrics", "numpy")
# What may differ from node to node: how samples are read, not which.
OWN_MATTER = {"train": {"workers", "pin_memory", "persistent_workers", "device"}}


def check_same(config: Config, world: World, datasets: "Mapping[str, Dataset[Any]]") -> None:
    """Raises UsageError in every process, naming what differs and on which host."""
    if world.alone:
        return
    facts = _facts(config, datasets)
    everyone = world.all_gather((world.host, facts))
    reference_host, reference = everyone[0]
    for rank, (host, other) in enumerate(everyone):
        different = sorted(
            name
            for name in reference.keys() | other.keys()
            if reference.get(name) != other.get(name)
        )
        if different:
            raise UsageError(
                f"Rank {rank} on {host} would not train the same as rank 0 on {reference_host}; "
                f"these differ: {', '.join(different[:6])}.",
                "Bring the same code, configuration, data and packages to every node.",
            )


def _facts(config: Config, datasets: "Mapping[str, Dataset[Any]]") -> dict[str, str]:
    tables = config.model_dump(mode="json", exclude=OWN_MATTER)
    facts = {f"[{name}] of pipeline.toml": key_of({"": part}) for name, part in tables.items()}
    facts |= source_hashes(config)
    facts |= {name: version_of(name) for name in PACKAGES}
    for split, dataset in datasets.items():
        facts[f"the number of {split} samples"] = str(size_of(dataset))
        facts[f"the {split} samples"] = _look(config, dataset, split)
    return facts


def _look(config: Config, dataset: "Dataset[Any]", split: str) -> str:
    """A hash over some samples. One that cannot be read is no difference: the training says it."""
    size = size_of(dataset)
    maker = BatchMaker(config, dataset, split)
    digest = hashlib.sha256()
    for index in sorted({int(at) for at in np.linspace(0, size - 1, SAMPLES)}):
        try:
            batch = maker[0, Share([index], 1, 1)]
        except PipelineError:
            return ""
        if isinstance(batch, Failure):
            return ""
        for tensor in (*batch.inputs, batch.targets):
            flat = tensor.contiguous().reshape(-1).view(torch.uint8)
            digest.update(flat.numpy().tobytes())
    return digest.hexdigest()
