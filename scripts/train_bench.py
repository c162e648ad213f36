"""Measures the training: against a bare PyTorch loop, its loader, its checkpoints, two processes.

    python scripts/train_bench.py examples/digits examples/mobilenet

loop        samples/s of the pipeline's loop against the bare one's, same model and data. The bare
            loop is the one of PyTorch's tutorials, with the same preprocessing for a whole batch
            at once: no checks, no seeds, no progress bar, no metric.
loader      with the real loader against batches that lie ready in memory.
stall       the part of an epoch and its checkpoint that the training waits for the checkpoint.
processes   two with a thread each (DDP) against one with two threads, by `pipeline train`.

In a process they take turns, an epoch each, so that all see the same machine. A model's place in
memory makes it a few percent faster or slower for as long as the process lives: so there are
several processes, and the median of their ratios is told.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pipeline.cli.console import Terminal
from pipeline.config import Config
from pipeline.config.file import load_config
from pipeline.graph.preprocess import Preprocess
from pipeline.project.entries import build_datasets, build_model
from pipeline.train import rng
from pipeline.train.data import Batch, Share, shuffled, split_batches
from pipeline.train.device import machine, not_filled
from pipeline.train.loop import train_epoch
from pipeline.train.setup import Setup, prepared
from pipeline.train.stop import Stop
from pipeline.train.watch import Watch
from pipeline.train.world import World
from pipeline.workspace.stage import Job

RATIOS = ("loop", "loader", "stall", "processes")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("projects", nargs="+", type=Path, help="folders with a pipeline.toml")
    parser.add_argument("--rounds", type=int, default=5, help="processes")
    parser.add_argument("--epochs", type=int, default=3, help="of each kind in a process")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--only", nargs="+", choices=RATIOS, default=RATIOS)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        sys.stdout.write(json.dumps(one_process(given.projects[0], given.set, given.epochs)))
        return
    print(f"{'':12s}{'':12s}median  smallest  largest, of {given.rounds} processes")
    for project in given.projects:
        rounds = [round_of(project, given) for _ in range(given.rounds)]
        for name in given.only:
            found = [ratios[name] for ratios in rounds]
            print(
                f"{project.name:12s}{name:12s}{statistics.median(found):.3f}   {min(found):.3f}"
                f"     {max(found):.3f}"
            )


def round_of(project: Path, given: argparse.Namespace) -> dict[str, float]:
    ratios: dict[str, float] = {}
    settings = [word for value in given.set for word in ("--set", value)]
    if set(given.only) - {"processes"}:
        command = [sys.executable, __file__, "--once", "--epochs", str(given.epochs)]
        done = subprocess.run(
            [*command, str(project), *settings], check=True, stdout=subprocess.PIPE
        )
        ratios |= json.loads(done.stdout)
    if "processes" in given.only:
        epochs = ["--set", f"train.epochs={given.epochs + 1}"]
        one = trained(project, [*settings, *epochs, "--set", "train.threads=2"])
        two = ["--set", "train.threads=1", "--nproc-per-node", "2"]
        ratios["processes"] = trained(project, [*settings, *epochs, *two]) / one
    return ratios


def trained(project: Path, words: list[str]) -> float:
    """Samples per second of `pipeline train`, the median of the epochs after the first."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pipeline.cli", "train", "-c", str(project)]
        subprocess.run(
            [*command, "--workspace", folder, *words], check=True, stdout=subprocess.DEVNULL
        )
        lines = (Path(folder) / "train" / "metrics.jsonl").read_text().splitlines()
    return statistics.median(json.loads(line)["samples_per_s"] for line in lines[1:])


def one_process(project: Path, settings: list[str], epochs: int) -> dict[str, float]:
    config = load_config(project, [*settings, f"train.epochs={4 * (epochs + 1)}"])
    report = Terminal(json_only=True)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(config, {}, Path(folder), Path(folder), report)
        with (
            machine(config.train, report) as here,
            prepared(job, here, Watch(World(), 1)) as (setup, learner),
        ):
            rng.seed_all(0)
            bare = BareLoop(config, here.device)
            ready = replace(setup, loader=Ready(setup))  # type: ignore[arg-type]
            with Stop() as stop, report.bar("", None) as bar, not_filled():

                def ours(setup: Setup) -> None:
                    learner.progress.batch = learner.progress.epoch = 0
                    train_epoch(setup, learner, stop, bar)

                def saved() -> None:
                    learner.progress.epoch += 1  # another name
                    setup.saver.save(learner)

                kinds: dict[str, Callable[[], Any]] = {
                    "bare": bare.epoch,
                    "ready": lambda: ours(ready),
                    "ours": lambda: ours(setup),
                    "checkpoint": saved,
                }
                taken = {kind: [] for kind in kinds}  # type: dict[str, list[float]]
                for _ in range(epochs + 1):
                    for kind, work in kinds.items():
                        taken[kind].append(timed(work))
                setup.saver.finish()
    # The first of each warms up.
    s = {kind: statistics.median(times[1:]) for kind, times in taken.items()}
    return {
        "loop": s["bare"] / s["ours"],
        "loader": s["ready"] / s["ours"],
        "stall": s["checkpoint"] / (s["ours"] + s["checkpoint"]),
    }


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


class Ready:
    """In the place of a Loader: the batches of an epoch, made beforehand."""

    def __init__(self, setup: Setup) -> None:
        self.dataset = setup.loader.dataset
        order = shuffled(self.dataset, 0, 0)
        shares = split_batches(order, setup.config.train.batch_size, setup.world)
        self.made = list(setup.loader.batches(0, shares))

    def batches(self, epoch: int, shares: list[Share]) -> Generator[Batch, None, None]:
        yield from self.made


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
        torch.use_deterministic_algorithms(False)
        self.model.train()
        total = 0.0
        for inputs, targets in self.loader:
            loss = self.loss(self.model(inputs.to(self.device)), targets.to(self.device))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        torch.use_deterministic_algorithms(True, warn_only=True)
        return total


if __name__ == "__main__":
    main()
