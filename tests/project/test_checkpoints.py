"""Weights from where people have them: each kind of file is made by what makes it."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.errors import UsageError
from pipeline.project.weights import load_weights, read_weights

State = dict[str, torch.Tensor]


def net(classes: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, classes))


def prefixed(prefix: str) -> Callable[[State], Any]:
    return lambda state: {f"{prefix}{name}": tensor for name, tensor in state.items()}


def raw(state: State) -> State:
    return {name: torch.zeros_like(tensor) for name, tensor in state.items()}


def averaged(state: State) -> State:
    model = net()
    model.load_state_dict(state)
    average = torch.optim.swa_utils.AveragedModel(model)
    return average.state_dict()


def lightning(state: State) -> Any:
    model = prefixed("model.")(state) | {"loss.weight": torch.ones(3)}
    return {"epoch": 3, "pytorch-lightning_version": "2.4.0", "state_dict": model}


KINDS: dict[str, tuple[Callable[[State], Any], str | None]] = {
    "a state dict": (lambda state: state, None),
    "DDP": (prefixed("module."), "stripped 'module.'"),
    "torch.compile": (prefixed("_orig_mod."), "stripped '_orig_mod.'"),
    "both": (prefixed("_orig_mod.module."), "stripped '_orig_mod.module.'"),
    "Lightning": (lightning, "took state_dict, stripped 'model.', left out loss.weight"),
    "torchvision": (lambda s: {"model": s, "args": argparse.Namespace(lr=1)}, "took model"),
    "timm": (
        lambda s: {"epoch": 3, "state_dict": raw(s), "state_dict_ema": s, "best": np.float64(0.5)},
        "took state_dict_ema",
    ),
    "a tutorial": (
        lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {}}, "loss": 0.1},
        "took model_state_dict",
    ),
    "one deeper": (lambda s: {"model": {"state_dict": s, "epoch": 1}}, "took model.state_dict"),
    "AveragedModel": (averaged, "stripped 'module.', left out n_averaged"),
    "without counters": (
        lambda s: {name: t for name, t in s.items() if "num_batches" not in name},
        None,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_taken_and_said(kind: str, tmp_path: Path) -> None:
    make, said = KINDS[kind]
    torch.manual_seed(0)
    trained, model = net(), net()
    torch.save(make(trained.state_dict()), tmp_path / "weights.pt")
    assert load_weights(model, tmp_path / "weights.pt") == said
    for name, tensor in trained.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_half_precision_is_said(tmp_path: Path) -> None:
    halves = {
        name: t.half() if t.is_floating_point() else t for name, t in net().state_dict().items()
    }
    torch.save(halves, tmp_path / "weights.pt")
    model = net()
    assert load_weights(model, tmp_path / "weights.pt") == "float16 taken as the model's own type"
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_key_chooses(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trained, path = net().state_dict(), tmp_path / "weights.pt"
    torch.save({"state_dict": trained, "ema": raw(trained), "mine": {"deep": raw(trained)}}, path)
    assert torch.equal(read_weights(path, "state_dict")["0.weight"], trained["0.weight"])
    assert not read_weights(path, "mine.deep")["0.weight"].any()
    with pytest.raises(UsageError, match="no state dict under 'mine'") as wrong:
        read_weights(path, "mine")
    assert wrong.value.hint == "It has state_dict, ema, mine."


def test_what_has_none_says_what_it_has(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "weights": {"a": torch.ones(1)}}, tmp_path / "weights.pt")
    with pytest.raises(UsageError, match="does not hold a state dict") as wrong:
        read_weights(tmp_path / "weights.pt")
    assert "It has epoch, weights; [model] weights_key names one" in str(wrong.value.hint)


def test_another_architecture_is_no_prefix(tmp_path: Path) -> None:
    torch.save(prefixed("module.")(net(10).state_dict()), tmp_path / "weights.pt")
    with pytest.raises(UsageError, match=r"3\.bias is \(10,\), the model has \(3,\)"):
        load_weights(net(), tmp_path / "weights.pt")
