"""Measures the training loop against a bare PyTorch loop of the same model and data.

    python scripts/train_bench.py examples/digits examples/mobilenet

In one process the two take turns, an epoch each, so that both see the same machine; the ratio of
each pair of epochs is taken, and their median told. The bare loop is the one of PyTorch's
tutorials, with the same preprocessing for a whole batch at once: no checks, no seeds, no progress
bar, no metric. Neither validates or saves inside the measured time.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pipeline.config import Config
from pipeline.config_file import load_config
from pipeline.console import Terminal
from pipeline.project import build_datasets, build_model
from pipeline.stage import Job
from pipeline.train import rng
from pipeline.train.device import machine, not_filled
from pipeline.train.loop import train_epoch
from pipeline.train.setup import prepared
from pipeline.train.stop import Stop
from pipeline.train.watch import Watch
from pipeline.train.world import World
from pipeline.wrap import Preprocess


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("projects", nargs="+", type=Path, help="folders with a pipeline.toml")
    parser.add_argument("--pairs", type=int, default=11, help="epochs of each loop")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    print("samples/s, median    pipeline      bare   ratio (smallest and largest of the pairs)")
    for project in given.projects:
        ours, bare = measure(
            load_config(project, [*given.set, f"train.epochs={given.pairs + 1}"]), given.pairs
        )
        ratios = [mine / other for mine, other in zip(ours, bare, strict=True)]
        print(
            f"{project.name:20s} {statistics.median(ours):8.0f}  {statistics.median(bare):8.0f}   "
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


def measure(config: Config, pairs: int) -> tuple[list[float], list[float]]:
    """Samples per second of each epoch, of the pipeline's loop and of the bare one."""
    report = Terminal(json_only=True)
    ours: list[float] = []
    bares: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        job = Job(config, {}, Path(folder), Path(folder), report)
        with (
            machine(config.train, report) as here,
            prepared(job, here, Watch(World(), 1)) as (setup, learner),
        ):
            rng.seed_all(0)
            bare = BareLoop(config, here.device)
            with Stop() as stop, report.bar(config.name, (pairs + 1) * setup.size) as bar:
                for epoch in range(pairs + 1):  # the first warms up
                    learner.progress.batch = learner.progress.epoch = 0
                    with not_filled():
                        mine = timed(lambda: train_epoch(setup, learner, stop, bar))
                    torch.use_deterministic_algorithms(False)
                    other = timed(bare.epoch)
                    torch.use_deterministic_algorithms(True, warn_only=True)
                    if epoch:
                        ours.append(setup.size / mine)
                        bares.append(setup.size / other)
    return ours, bares


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class BareLoop:
    """What somebody writes who has read PyTorch's tutorials."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self.preprocess = Preprocess(config.input) if config.input.kind == "image" else None
        self.device = device
        self.model = build_model(config).to(device)
        self.loss = getattr(nn, config.train.loss or "CrossEntropyLoss")()
        optimizer = getattr(torch.optim, config.train.optimizer)
        self.optimizer = optimizer(self.model.parameters(), config.train.lr)
        self.loader = DataLoader(
            build_datasets(config)["train"],
            batch_size=config.train.batch_size,
            shuffle=True,
            num_workers=config.train.workers,
            collate_fn=self.collate,
        )

    def collate(self, rows: list[Any]) -> tuple[Tensor, Tensor]:
        given, targets = zip(*rows, strict=True)
        inputs = torch.from_numpy(np.stack(given))
        with torch.no_grad():
            prepared = self.preprocess(inputs) if self.preprocess else inputs
        return prepared, torch.tensor(targets)

    def epoch(self) -> float:
        self.model.train()
        total = 0.0
        for inputs, targets in self.loader:
            loss = self.loss(self.model(inputs.to(self.device)), targets.to(self.device))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total


if __name__ == "__main__":
    main()
