"""Fixtures of `verify_cases`: small projects, trained for a moment."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.config.file import parse_config
from pipeline.graph.wrap import Wrapped
from pipeline.project.entries import build_datasets, build_model
from pipeline.project.weights import WEIGHTS, save_weights
from pipeline.workspace.artifacts import write_index
from tests.verify.verify_cases import CODE, PICTURES, SIGNATURES, TABLE, TOKENS, Case, fit


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, Any], bytes]]:
    """By name: the configuration and the weights of a project that was trained for a moment."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "parts.py").write_text(CODE, encoding="utf-8")
    found = {}
    for name, data in (("pictures", PICTURES), ("table", TABLE), ("tokens", TOKENS)):
        torch.manual_seed(0)
        config = parse_config(data, folder / "pipeline.toml")
        model = build_model(config)
        if name == "pictures":
            wrapped = Wrapped(config, model, ["image"])
            wrapped.post.activation = "none"
            # Smoothed, so that probabilities are no ones and zeros, on which nothing shows.
            smooth = nn.CrossEntropyLoss(label_smoothing=0.2)
            fit(wrapped.train(), build_datasets(config), smooth, 100)
        if name == "table":

            def loss(y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
                return nn.functional.mse_loss(y[:, 0], t)

            fit(model, build_datasets(config), loss, 300)
        save_weights(model, folder / WEIGHTS)
        found[name] = (data, (folder / WEIGHTS).read_bytes())
    return found


@pytest.fixture
def make(tmp_path: Path, trained: dict[str, Any]) -> Callable[..., Case]:
    """`make("pictures")`: a project of that name in a folder with a space, without artifacts."""

    def build(name: str) -> Case:
        folder = tmp_path / f"a {name}"
        for stage in ("train", "export", "quantize"):
            (folder / stage).mkdir(parents=True)
        (folder / "parts.py").write_text(CODE, encoding="utf-8")
        data, weights = trained[name]
        (folder / "train" / WEIGHTS).write_bytes(weights)
        for stage in ("export", "quantize"):
            write_index(folder / stage, [])
        config = parse_config(data, folder / "pipeline.toml")
        return Case(folder, config, SIGNATURES[name]).signed(SIGNATURES[name])

    return build


@pytest.fixture
def pictures(make: Callable[..., Case]) -> Case:
    return make("pictures")


@pytest.fixture
def table(make: Callable[..., Case]) -> Case:
    return make("table")


@pytest.fixture
def tokens(make: Callable[..., Case]) -> Case:
    return make("tokens")
