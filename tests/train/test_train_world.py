"""Several processes take the steps of one; gloo on the CPU."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pipeline.train.strategy import steps_read_buffers
from tests.train.conftest import MakeProject, Project, same
from tests.train.ranks import start, train

# No dropout, whose draws no two processes share, and 50 steps of 64 samples.
PLAIN = """

class Plain(nn.Module):
    def __init__(self, norm=False, extra=False):
        super().__init__()
        # No bias before batch norm: its gradient is zero but for rounding, which AdamW makes large.
        self.layers = nn.Sequential(
            nn.Linear(4, 16, bias=not norm), nn.BatchNorm1d(16) if norm else nn.Identity(),
            nn.Tanh(), nn.Linear(16, 2),
        )
        if extra:
            self.unused = nn.Linear(3, 3)

    def forward(self, x):
        return self.layers(x)


def plain(norm=False, extra=False):
    return Plain(norm, extra)


def share_of_ones(outputs, targets):
    (HERE / "seen").write_text(" ".join(str(round(float(x), 6)) for x in outputs[:, 0]))
    return float((outputs.argmax(1) == targets).float().mean())
"""
SETTINGS = (
    "model.entry=points.py:plain",
    "train.batch_size=64",
    "train.epochs=5",
    "data.args={ train = 640, validation = 101 }",
)


def plain(project: MakeProject, *overrides: str) -> Project:
    return project(*SETTINGS, *overrides, code=PLAIN)


def near(points: Project, other: str) -> None:
    """Weights and losses of two trainings within 1e-5, metrics equal."""
    for file in ("weights.safetensors", "last.safetensors"):
        one, two = (load_file(points.folder / to / file) for to in ("out", other))
        assert one.keys() == two.keys()
        for name in one:
            torch.testing.assert_close(two[name], one[name], rtol=0, atol=1e-5)
    rows = list(zip(points.rows(), points.rows(other), strict=True))
    assert rows[-1][0]["step"] == 50 or len(rows) != 5
    for row, twin in rows:
        assert twin["train_loss"] == pytest.approx(row["train_loss"], abs=1e-5)
        assert twin["validation_loss"] == pytest.approx(row["validation_loss"], abs=1e-5)
        assert twin["metric"] == pytest.approx(row["metric"], abs=1e-6)


class Averaged(nn.BatchNorm1d):
    """May read its statistics in a step, for all one knows."""


@pytest.mark.parametrize(
    ("layer", "read"),
    [
        (nn.BatchNorm2d(3), False),
        (nn.Linear(3, 3), False),
        (Averaged(3), True),
        (nn.Embedding(3, 3), False),
        (nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)), True),
    ],
)
def test_buffers_go_round_where_a_step_may_read_them(layer: nn.Module, read: bool) -> None:
    assert steps_read_buffers(nn.Sequential(nn.Linear(3, 3), layer)) is read


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["train.strategy=fsdp", 'train.fsdp_wrap=["Linear"]', "train.clip_norm=0.1"],
        ["model.args={ norm = true }", "train.sync_batch_norm=true"],
        ["train.batch_size=16", "train.accumulate=4", "output.metric=points.py:share_of_ones"],
        ["train.static_graph=true", "train.bucket_mb=0.0001", "train.clip_norm=0.1"],
    ],
    ids=["ddp", "fsdp", "synchronized", "accumulated", "static-small-buckets"],
)
def test_two_processes_take_the_steps_of_one(project: MakeProject, overrides: list[str]) -> None:
    points = plain(project, *overrides)
    points.train("train.strategy=ddp")
    train(points, 2, to="two")
    near(points, "two")


@pytest.mark.slow
def test_epochs_with_int8_rounding_are_the_same_in_both_strategies(project: MakeProject) -> None:
    """Of ten steps each; a rounding apart, what was not the same to the bit goes another way."""
    points = plain(project, "train.epochs=1", "quantize.qat_epochs=2", "train.lr=0.01")
    train(points, 2, "quantize.qat_epochs=0", "train.epochs=3", to="float")
    train(points, 2)
    train(points, 2, "train.strategy=fsdp", 'train.fsdp_wrap=["Linear"]', to="sharded")
    ours, sharded, never = (points.rows(to) for to in ("out", "sharded", "float"))
    assert [row["epoch"] for row in ours] == [row["epoch"] for row in sharded] == [1, 2, 3]
    assert ours[0]["train_loss"] == pytest.approx(never[0]["train_loss"], abs=1e-6)
    assert [row["lr"] for row in ours] == pytest.approx([0.01, 0.001, 0.001])
    for row, twin in zip(ours, sharded, strict=True):
        assert twin["train_loss"] == pytest.approx(row["train_loss"], abs=1e-3)
        assert twin["validation_loss"] == pytest.approx(row["validation_loss"], abs=1e-3)
    one, two = (load_file(points.folder / to / "last.safetensors") for to in ("out", "sharded"))
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=0, atol=1e-3)


@pytest.mark.slow
def test_each_validation_sample_counts_once(project: MakeProject) -> None:
    """A metric of the user's sees them in the order of the set; a last batch of one sample."""
    points = plain(project, "output.metric=points.py:share_of_ones", "train.batch_size=25")
    points.train("train.epochs=1")
    seen = (points.folder / "seen").read_text()
    train(points, 3, "train.epochs=1", to="three")
    ours = (points.folder / "seen").read_text()
    assert len(seen.split()) == 101

    for one, other in zip(seen.split(), ours.split(), strict=True):
        assert float(one) == pytest.approx(float(other), abs=1e-5)
    near(points, "three")


@pytest.mark.slow
def test_parameters_without_a_gradient_are_named(project: MakeProject) -> None:
    points = plain(project, "model.args={ extra = true }", "train.epochs=1")

    ranks = start(points, 2)
    assert 2 in ranks.wait()
    assert "unused.weight, unused.bias" in ranks.said(0) + ranks.said(1)
    assert "find_unused_parameters = true" in ranks.said(0) + ranks.said(1)
    train(points, 2, "train.find_unused_parameters=true")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_the_same_again_with_three(project: MakeProject, strategy: str) -> None:
    """With dropout, batch norm and random samples, in pieces as in one go."""
    points = project(f"train.strategy={strategy}", "train.checkpoint_every=3")
    train(points, 3)
    train(points, 3, to="again")
    assert same(points.result(), points.result("again"))
