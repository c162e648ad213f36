#!/usr/bin/env python3
"""Models that plain static int8 breaks, and what `auto` makes of them.

    python scripts/int8_recovery.py resnet18 vit

Takes the trained weights of examples/int8 (`pipeline train -c examples/int8/vit.toml` makes them),
plants channels a few hundred times as large as the others in one layer (of the transformer, in each
block), and divides the weights that read them by as much: in float the answers are the same. Then
the search runs.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from int8_bench import Work, exported, search
from safetensors.torch import load_file, save_file

from pipeline.config.file import load_config
from pipeline.system.progress import Silent

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "int8"
FACTOR = 500.0
CHANNELS = 4
PARTS = ("weight", "bias")
# (what becomes larger, what reads it), by model: tensors of the state dict
PLANTED = {
    "resnet18": (("layer1.0.bn1.weight", "layer1.0.bn1.bias"), ("layer1.0.conv2.weight",)),
    "vit": (
        tuple(f"blocks.{i}.norm{j}.{part}" for i in range(4) for j in (1, 2) for part in PARTS),
        tuple(f"blocks.{i}.{reader}.weight" for i in range(4) for reader in ("qkv", "up")),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=["resnet18", "vit"])
    for name in parser.parse_args().names:
        with tempfile.TemporaryDirectory() as folder:
            recover(name, Path(folder))


def recover(name: str, folder: Path) -> None:
    config = load_config(EXAMPLES / f"{name}.toml")
    train = folder / "train"
    train.mkdir()
    weights = EXAMPLES / "runs" / name / "train" / "weights.safetensors"
    save_file(planted(name, load_file(weights)), train / "weights.safetensors")
    work: Work = exported(config, train, folder)
    with Silent().bar("", None) as bar:
        scratch = folder / "search"
        scratch.mkdir()
        outcome = search(replace(work.task, scratch=scratch, bar=bar))
    assert outcome.record is not None
    print(f"{name}: {outcome.why}  ({outcome.record.seconds} s)")
    for trial in outcome.record.trials:
        if trial.name.startswith("int8-static") and trial.drop is not None:
            print(f"    {trial.name:50} drop {trial.drop:+.4f}")


def planted(name: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    larger, readers = PLANTED[name]
    for key in larger:
        state[key][:CHANNELS] *= FACTOR
    for key in readers:
        state[key][:, :CHANNELS] /= FACTOR
    return state


if __name__ == "__main__":
    main()
