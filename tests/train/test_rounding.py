"""Quantization-aware epochs: layers round as int8 does, and weights end up where it costs less."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.train.rounding import install, round_activations, round_weights


def config(qat_epochs: int) -> Config:
    given = {"model": {"entry": "m.py:f"}, "quantize": {"qat_epochs": qat_epochs}}
    return Config.model_validate(given)


def test_rounding_is_that_of_int8_and_gradients_go_through() -> None:
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    rounded = round_weights(weight)
    steps = rounded / (weight.detach().abs().amax((1, 2, 3), keepdim=True) / 127)
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    rounded.sum().backward()
    assert weight.grad is not None and torch.equal(weight.grad, torch.ones_like(weight))
    x = torch.rand(100) * 5 - 1
    assert len(round_activations(x).unique()) <= 256
    assert (round_activations(x) - x).abs().max() <= (x.max() - x.min()) / 255 / 2 + 1e-6
    assert torch.equal(round_activations(torch.zeros(3)), torch.zeros(3))


def test_layers_round_only_while_it_is_on() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
    x, names = torch.randn(2, 1, 4, 4), [*model.state_dict()]
    plain = model(x)
    rounding = install(model, config(1))
    assert torch.equal(model(x), plain)
    rounding.on = True
    assert not torch.equal(model(x), plain)
    assert torch.allclose(model(x), plain, atol=0.1)
    assert [*model.state_dict()] == names
    untouched = nn.Linear(2, 2)
    install(untouched, config(0))
    assert "forward" not in vars(untouched)


def test_patience_does_not_go_with_it(tmp_path: Path) -> None:
    from pipeline.config.file import load_config

    (tmp_path / "pipeline.toml").write_text(
        '[model]\nentry = "m.py:f"\n[train]\npatience = 2\n[quantize]\nqat_epochs = 1\n'
    )
    with pytest.raises(UsageError, match=r"leave train\.patience out"):
        load_config(tmp_path)


def test_the_epochs_follow_those_of_train(tmp_path: Path) -> None:
    """In the same loop: rows go on, the learning rate is a tenth, the best is one of them."""
    import shutil

    import pipeline.train
    from pipeline.config.file import load_config
    from pipeline.system.progress import Silent
    from pipeline.workspace.stage import Job

    digits = Path(__file__).parents[2] / "examples" / "digits"
    for file in ("digits.py", "pipeline.toml"):
        shutil.copy(digits / file, tmp_path)
    overrides = (
        "model.args.width=4",
        "input.size=[8,8]",
        "train.epochs=2",
        "quantize.qat_epochs=2",
    )
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    out.mkdir()
    scratch.mkdir()
    given = load_config(tmp_path, overrides)
    summary = pipeline.train.run(Job(given, {}, out, scratch, Silent()))
    lines = (out / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[2]["lr"] == rows[3]["lr"] == pytest.approx(given.train.lr / 10)
    best = max(rows[2:], key=lambda row: row["metric"])  # the first of equals
    assert summary["best_epoch"] == best["epoch"]
