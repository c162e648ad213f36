"""Two hundred healthy runs: no artifact is called a failure that is none."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from pipeline import quantize
from pipeline.config.file import parse_config
from pipeline.graph.wrap import Wrapped
from pipeline.project.entries import build_datasets, build_model
from pipeline.project.weights import WEIGHTS, save_weights
from pipeline.system.progress import Silent
from pipeline.workspace.stage import Job
from tests.verify.verify_cases import CODE, Case, fit, good

RUNS = 200
SEEDED = CODE.replace("validation, 2, sizes", "validation, SEED, sizes").replace(
    "pictures(256, 1)", "pictures(256, SEED + 1)"
)


@pytest.mark.full
def test_two_hundred_healthy_runs(make: Callable[..., Case]) -> None:
    """Each with its own weights, data and number of validation samples, quantized by the stage.

    A `fail` counts as false unless 20,000 further samples show a drop beyond what is allowed.
    """
    case, words, false = make("pictures"), [], []
    for seed in range(RUNS):
        count = int(np.random.default_rng(seed).integers(60, 900))
        made = quantized(case, seed, count)
        row = made.verify()["rows"][-1]
        assert row["precision"] == "int8"
        words.append(row["verdict"])
        if row["verdict"] == "fail" and true_drop(made, seed) <= row["tolerances"]["max_drop"]:
            false.append((seed, count, row["reasons"]))
    assert false == []
    assert words.count("pass") > RUNS / 4, words


def quantized(case: Case, seed: int, count: int) -> Case:
    """A model that is trained and quantized anew, with `count` validation samples."""
    # A file of its own name each time, since Python keeps what it has imported.
    code = SEEDED.replace("SEED", str(2 * seed + 10))
    (case.folder / f"parts{seed}.py").write_text(code, encoding="utf-8")
    made = configured(case, seed, count)
    torch.manual_seed(seed)
    model = build_model(made.config)
    wrapped = Wrapped(made.config, model, ["image"])
    wrapped.post.activation = "none"
    fit(wrapped.train(), build_datasets(made.config), nn.CrossEntropyLoss(label_smoothing=0.2), 60)
    save_weights(model, case.inputs["train"] / WEIGHTS)
    made.add(good(made))
    scratch = case.folder / "quantizing"
    quantize.run(Job(made.config, made.inputs, made.inputs["quantize"], scratch, Silent()))
    return made


def configured(case: Case, seed: int, count: int) -> Case:
    data = case.config.model_dump(mode="json", exclude_unset=True)
    data["model"] = {"entry": f"parts{seed}.py:picture_model"}
    data["data"] = {"entry": f"parts{seed}.py:picture_data", "args": {"validation": count}}
    data["verify"] |= {"samples": count, "drift": False, "runtimes": ["torchscript"]}
    data["quantize"] = {"recipes": ["torchscript:int8-static"], "gate": False}
    return Case(case.folder, parse_config(data, case.folder / "pipeline.toml"), case.signature)


def true_drop(made: Case, seed: int) -> float:
    many = configured(made, seed, 20_000).verify("many")["rows"][-1]
    return float(many["drop"])
