"""What measuring a deep model layer by layer costs: seconds, and memory against one inference.

    python scripts/drift_bench.py --blocks 100 --width 256

A residual network of three convolutions a block is exported and quantized in a temporary folder.
For each artifact two fresh processes: one opens the reference and the artifact and asks each for
one sample; the other measures the drift. Told are the peaks of resident memory above what a process
has that only imported the same modules, and the seconds with and without the imports.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL = """
import numpy as np
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        inner = width // 4
        self.body = nn.Sequential(
            nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, width, 1, bias=False), nn.BatchNorm2d(width),
        )

    def forward(self, x):
        return torch.relu(x + self.body(x))


def model(blocks=1, width=8):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=2, padding=1), nn.ReLU(),
        *[Block(width) for _ in range(blocks)],
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10),
    )


class Rows:
    def __len__(self):
        return 64

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        return rng.integers(0, 255, (32, 32, 3), dtype=np.uint8), index % 10


def data():
    return {"train": Rows(), "validation": Rows()}
"""

CONFIG = """
name = "deep"

[model]
entry = "deep.py:model"
args = {{ blocks = {blocks}, width = {width} }}

[data]
entry = "deep.py:data"

[input]
kind = "image"
size = [32, 32]
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]

[output]
kind = "classification"

[train]
epochs = 1
batch_size = 4

[quantize]
recipes = ["int8-static"]
gate = false
calibration_samples = 16
batch_size = 4
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=100)
    parser.add_argument("--width", type=int, default=256)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "deep.py").write_text(MODEL, encoding="utf-8")
        config = CONFIG.format(blocks=given.blocks, width=given.width)
        (project / "pipeline.toml").write_text(config, encoding="utf-8")
        command = [Path(sys.executable).with_name("pipeline"), "quantize", "-c", folder]
        subprocess.run(command, check=True)  # type: ignore[arg-type]
        print(f"{'artifact':24s} seconds  with imports  peak MB  one inference MB  ratio")
        for artifact in ("onnx-fp32", "onnx-int8-static", "torchscript-fp32"):
            show(project, artifact)


def show(project: Path, artifact: str) -> None:
    one, drift = (child(project, artifact, part) for part in ("inference", "drift"))
    ratio = drift["peak_mb"] / one["peak_mb"]
    print(
        f"{artifact:24s} {drift['seconds']:7.1f} {drift['whole']:13.1f} {drift['peak_mb']:8.0f} "
        f"{one['peak_mb']:17.0f} {ratio:6.2f}",
        flush=True,
    )


def child(project: Path, artifact: str, part: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", str(project), artifact, part]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "whole": time.perf_counter() - started}


def measured(project: Path, artifact: str, part: str) -> None:
    """In a process of its own, since a peak never goes down."""
    import torch

    from pipeline.config.file import load_config
    from pipeline.runtimes import RUNTIMES, Asked
    from pipeline.runtimes.eager import wrapped_model
    from pipeline.system.progress import Silent
    from pipeline.verify.drift import run as drift
    from pipeline.workspace.folder import Workspace

    # isort: split
    import onnxruntime  # noqa: F401  behind pipeline, which switches its telemetry off

    torch.set_num_threads(1)
    torch.ones(8, 8) @ torch.ones(8, 8)
    config = load_config(project)
    workspace = Workspace(project / "runs" / config.name)
    inputs = {stage: workspace.stage(stage) for stage in ("train", "export", "quantize")}
    before, started = peak_mb(), time.perf_counter()
    run = drift.prepare(config, inputs, project)
    file = drift.find(inputs, artifact)
    if part == "drift":
        with Silent().bar("", None) as bar:
            drift.drift(run, file, None, bar)
    else:
        model = wrapped_model(config, inputs["train"], run.loaded)
        with torch.no_grad():
            model(*[torch.from_numpy(array) for array in run.samples[0]])
        from pipeline.workspace.artifacts import read_signature

        runtime = RUNTIMES["onnxruntime" if file.format == "onnx" else "torchscript"]
        runner = runtime.open(file.path, Asked(read_signature(inputs["export"]), 1, file.made_for))
        runner.run(run.samples[0])
        runner.close()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb() - before}))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        os.environ["OMP_NUM_THREADS"] = "1"
        measured(Path(sys.argv[2]), sys.argv[3], sys.argv[4])
    else:
        main()
