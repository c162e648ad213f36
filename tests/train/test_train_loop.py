"""What training does when all goes well, checked against plain PyTorch and by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from pipeline.system.progress import Silent
from pipeline.train.data import shuffled, split_batches
from pipeline.train.world import World
from tests.train.conftest import MakeProject, Project, same

PLAIN = """

def plain():
    return nn.Linear(4, 2)


def own_sgd(parameters, lr, speed=1.0):
    return torch.optim.SGD(parameters, lr=lr * speed)


def own_loss(outputs, targets, factor=1.0):
    return factor * nn.functional.cross_entropy(outputs, targets)


def summed(outputs, targets):
    return (outputs.argmax(1) == targets).sum() / len(targets)


def regression(train=44, validation=20):
    def points(count, seed):
        x = torch.from_numpy(Points(count, seed).points)
        return torch.utils.data.TensorDataset(x, x @ torch.tensor([1.0, -2.0, 0.5, 0.0]))
    return {"train": points(train, 1), "validation": points(validation, 2)}


class OneNumber(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)

    def forward(self, x):
        return self.layer(x)[:, 0]


class Named(Dataset):
    def __init__(self, count, seed):
        self.points = Points(count, seed)

    def __len__(self):
        return len(self.points)

    def __getitem__(self, index):
        point, label = self.points[index]
        return {"left": point[:2], "right": point[2:]}, label


def named():
    return {"train": Named(44, 1), "validation": Named(20, 2)}


class TwoSides(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, right, left):
        return {"scores": self.left(left) + self.right(right), "other": left}
"""

STILL = "data.args={ noise = 0.0 }"  # samples that are the same each time
SGD = ["model.entry=points.py:plain", STILL, "train.optimizer=SGD", "train.lr=0.1"]


def by_hand(points: Project, epochs: int, batch_size: int) -> tuple[dict[str, Any], list[float]]:
    """The same training in a few lines of PyTorch; the weights and the losses of validation."""
    job = points.job()
    from pipeline.project.entries import build_datasets, build_model

    torch.manual_seed(0)
    data, model = build_datasets(job.config), build_model(job.config).train()
    columns = {
        split: [torch.from_numpy(np.array(column)) for column in zip(*dataset, strict=True)]
        for split, dataset in ((s, [d[i] for i in range(len(d))]) for s, d in data.items())  # type: ignore[arg-type]
    }
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for epoch in range(epochs):
        order = shuffled(range(44), 0, epoch)  # type: ignore[arg-type]
        for start in range(0, 44, batch_size):
            rows = order[start : start + batch_size]
            x, y = (column[rows] for column in columns["train"])
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        x, y = columns["validation"]
        losses.append(nn.functional.cross_entropy(model(x), y).item())
    return dict(model.state_dict()), losses


def test_it_is_what_a_plain_loop_does(project: MakeProject) -> None:
    points = project(*SGD, code=PLAIN)
    torch.manual_seed(0)
    points.train()
    weights, losses = by_hand(points, 3, 12)
    trained = load_file(points.folder / "out" / "last.safetensors")
    assert trained.keys() == weights.keys()
    for name, tensor in weights.items():
        assert torch.allclose(trained[name], tensor, atol=1e-6), name
    assert [row["validation_loss"] for row in points.rows()] == pytest.approx(losses, abs=1e-6)


def test_accumulated_batches_are_one_large_batch(project: MakeProject) -> None:
    points = project(*SGD, code=PLAIN)
    points.train("train.batch_size=12", "train.accumulate=3", to="accumulated")
    points.train("train.batch_size=36", to="large")
    one, other = (
        load_file(points.folder / to / "last.safetensors") for to in ("accumulated", "large")
    )
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)
    assert [row["step"] for row in points.rows("accumulated")] == [2, 4, 6]
    for one_row, other_row in zip(points.rows("accumulated"), points.rows("large"), strict=True):
        assert one_row["train_loss"] == pytest.approx(other_row["train_loss"], abs=1e-6)


def test_it_learns_and_says_so(project: MakeProject) -> None:
    points, report = project("train.epochs=12"), Silent()
    summary = points.train(report=report)
    rows = points.rows()
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    best = max(row["metric"] for row in rows)
    assert summary["metric"] == {"name": "Accuracy", "goal": "max", "value": best}
    assert best > 0.75
    first = next(row["epoch"] for row in rows if row["metric"] == best)
    assert summary["best_epoch"] == first
    assert report.notes[-1].startswith(f"Best epoch: {first} of 12, Accuracy {best:.4f} on 20")
    assert all(row["samples_per_s"] > 0 and row["seconds"] > 0 for row in rows)


def test_the_best_weights_are_those_of_the_best_epoch(project: MakeProject) -> None:
    points = project("train.epochs=12", "train.lr=0.1")
    best = points.train()["best_epoch"]
    assert best < 12
    points.train(f"train.epochs={best}", to="until the best")
    assert same(points.result(), points.result("until the best"), ["weights"])
    assert points.result()["weights"] != points.result()["last"]


def test_without_a_metric_the_lowest_loss_is_the_best(project: MakeProject) -> None:
    points = project("output.kind=tensor", "train.loss=CrossEntropyLoss", "train.lr=0.3")
    report = Silent()
    summary = points.train("train.epochs=8", report=report)
    losses = [row["validation_loss"] for row in points.rows()]
    assert summary["metric"] is None
    assert losses[summary["best_epoch"] - 1] == min(losses)
    assert f"validation loss {min(losses):.4f}" in report.notes[-1]


def test_patience(project: MakeProject) -> None:
    points, report = project("train.epochs=50", "train.patience=2", "train.lr=0.1"), Silent()
    summary = points.train(report=report)
    assert summary["trained_epochs"] == summary["best_epoch"] + 2 < 50
    assert "Stopped early: no improvement for 2 epochs." in report.notes


def test_workers_change_nothing(project: MakeProject) -> None:
    points = project("data.args={ noise = 0.5 }")
    points.train()
    points.train("train.workers=2", to="workers")
    points.train("train.workers=1", "train.persistent_workers=false", to="one")
    assert same(points.result(), points.result("workers"))
    assert same(points.result(), points.result("one"))


def test_the_seed_changes_everything(project: MakeProject) -> None:
    points = project()
    points.train()
    points.train("train.seed=1", to="other")
    assert points.result()["last"] != points.result("other")["last"]


def test_nothing_of_the_process_is_changed(project: MakeProject) -> None:
    """Its random numbers before do not matter, its settings after are as they were."""
    points = project()
    points.train()
    torch.manual_seed(99)
    np.random.seed(99)
    points.train(to="other")
    assert same(points.result(), points.result("other"))
    assert not torch.are_deterministic_algorithms_enabled()


def test_clipping_limits_the_step(project: MakeProject) -> None:
    points = project(*SGD, "train.lr=1.0", "train.epochs=1", "train.batch_size=44", code=PLAIN)
    start = _start(points)
    points.train("train.clip_norm=0.01")
    end = load_file(points.folder / "out" / "last.safetensors")
    step = torch.cat([(end[name] - start[name]).flatten() for name in end])
    assert step.norm().item() == pytest.approx(0.01, rel=1e-3)


def _start(points: Project) -> dict[str, Any]:
    points.train("train.epochs=0", to="start")
    return load_file(points.folder / "start" / "weights.safetensors")


def test_schedulers_know_the_length_of_the_training(project: MakeProject) -> None:
    points = project("train.scheduler=OneCycleLR", "train.scheduler_every=step", "train.lr=0.05")
    points.train()
    assert points.rows()[-1]["lr"] < 1e-6  # after all 12 steps, not after 3 epochs
    points.train("train.scheduler=LinearLR", "train.scheduler_every=epoch", to="by epoch")
    steps = [row["lr"] for row in points.rows("by epoch")]
    assert steps == pytest.approx([0.05 / 3 * f for f in (1.0, 1.4, 1.8)])


def test_the_learning_rate_of_an_epoch_is_that_of_its_last_step(project: MakeProject) -> None:
    points = project("train.scheduler=StepLR", "train.scheduler_args={step_size=1, gamma=0.5}")
    points.train()
    assert [row["lr"] for row in points.rows()] == [0.02, 0.01, 0.005]


def test_functions_of_the_users(project: MakeProject) -> None:
    points = project(*SGD, code=PLAIN)
    points.train(to="torch's")
    points.train(
        "train.optimizer=points.py:own_sgd",
        "train.optimizer_args={speed = 0.5}",
        "train.lr=0.2",
        "train.loss=points.py:own_loss",
        "train.loss_args={factor = 1.0}",
        "output.metric=points.py:summed",
    )
    assert same(points.result(), points.result("torch's"), ["last"])
    one, other = (points.rows(to)[-1]["metric"] for to in ("out", "torch's"))
    assert one == pytest.approx(other)


def test_regression_with_outputs_of_one_number(project: MakeProject) -> None:
    points = project(
        "model.entry=points.py:OneNumber",
        "data.entry=points.py:regression",
        "output.kind=regression",
        "train.epochs=40",
        "train.lr=0.1",
        code=PLAIN,
    )
    summary = points.train()
    assert summary["metric"]["name"] == "MeanSquaredError"
    assert summary["metric"]["goal"] == "min"
    assert summary["metric"]["value"] < 0.1


def test_one_output_for_yes_or_no(project: MakeProject) -> None:
    points = project(
        "model.entry=points.py:OneNumber",
        "output.activation=sigmoid",
        'output.metric_args={ task = "binary" }',
        "train.loss=BCEWithLogitsLoss",
        "train.lr=0.1",
        code=PLAIN,
    )
    assert points.train()["metric"]["value"] > 0.7


def test_inputs_by_name_and_several_outputs(project: MakeProject) -> None:
    points = project(
        "model.entry=points.py:TwoSides",
        "data.entry=points.py:named",
        'input.shapes={ left = ["batch", 2], right = ["batch", 2] }',
        "train.lr=0.1",
        code=PLAIN,
    )
    assert points.train()["metric"]["value"] > 0.7


def test_class_weights_in_the_configuration(project: MakeProject) -> None:
    points = project("train.loss_args={ weight = [1, 3] }")
    points.train()
    points.train("train.loss_args={ weight = [1, 1] }", to="even")
    assert points.result()["last"] != points.result("even")["last"]


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision(project: MakeProject, amp: str) -> None:
    points = project("train.epochs=12")
    summary = points.train(f"train.amp={amp}", to=amp)
    points.train()
    assert summary["amp"] == amp
    assert summary["metric"]["value"] > 0.75
    assert points.result(amp)["last"] != points.result()["last"]
    weights = load_file(points.folder / amp / "last.safetensors")
    assert weights["layers.0.weight"].dtype == torch.float32


def test_no_epochs_keep_the_weights(project: MakeProject) -> None:
    points = project()
    points.train()
    (points.folder / "trained.safetensors").write_bytes(points.result()["weights"])
    given, report = 'model.weights="trained.safetensors"', Silent()
    summary = points.train(given, "train.epochs=0", STILL, to="kept", report=report)
    kept = points.folder / "kept"
    assert (kept / "weights.safetensors").read_bytes() == points.result()["weights"]
    assert summary["trained_epochs"] == 0
    assert summary["metric"]["value"] > 0.5
    assert (kept / "metrics.jsonl").read_text() == ""
    assert "Not trained: [train] epochs = 0. Accuracy" in report.notes[-1]


def test_training_goes_on_from_given_weights(project: MakeProject) -> None:
    points = project("model.entry=points.py:plain", code=PLAIN)
    points.train("train.epochs=20")
    (points.folder / "trained.safetensors").write_bytes(points.result()["last"])
    given = 'model.weights="trained.safetensors"'
    points.train(given, "train.epochs=1", "train.lr=1e-9", to="on")
    one, other = (load_file(points.folder / to / "last.safetensors") for to in ("out", "on"))
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)


def test_random_weights_without_data(project: MakeProject) -> None:
    points = project()
    text = (points.folder / "pipeline.toml").read_text()
    (points.folder / "pipeline.toml").write_text(
        text.replace('[data]\nentry = "points.py:build_data"\n', "")
    )
    summary = points.train()
    assert summary["why"] == "there is no [data] entry"
    assert summary["metric"] is None
    assert (points.folder / "out" / "weights.safetensors").exists()


def test_tensorboard(project: MakeProject) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    points = project("train.tensorboard=true")
    points.train()
    events = EventAccumulator(str(points.folder / "out" / "tensorboard")).Reload()
    losses = [event.value for event in events.Scalars("validation_loss")]
    assert losses == pytest.approx([row["validation_loss"] for row in points.rows()])


class Watching(Silent):
    """Keeps what the training bar is told."""

    def __init__(self) -> None:
        super().__init__()
        self.total: float | None = None
        self.moves: list[tuple[float, str]] = []

    def bar(self, description: str, total: float | None) -> Any:
        self.total = total
        return _Moves(self.moves)


class _Moves:
    def __init__(self, moves: list[tuple[float, str]]) -> None:
        self.moves = moves

    def __enter__(self) -> "_Moves":
        return self

    def __exit__(self, *_: object) -> None: ...

    def advance(self, steps: float = 1, text: str = "") -> None:
        self.moves.append((steps, text))


def test_the_bar_counts_samples_and_shows_what_matters(project: MakeProject) -> None:
    points, report = project(), Watching()
    points.train(report=report)
    assert report.total == sum(steps for steps, _ in report.moves) == 3 * 44
    last = report.moves[-1][1]
    assert last.startswith("epoch 3/3, ")
    for part in ("samples/s", "loss ", "Accuracy "):
        assert part in last


def test_an_order_for_each_epoch() -> None:
    orders = [shuffled(range(50), seed, epoch) for seed in (0, 1) for epoch in (0, 1)]  # type: ignore[arg-type]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert shuffled(range(50), 0, 1) == orders[1]  # type: ignore[arg-type]


def test_processes_share_each_batch() -> None:
    order = list(range(10))
    parts = [split_batches(order, 4, World(rank, 2)) for rank in range(2)]
    assert [share.indices for share in parts[0]] == [[0, 2], [4, 6], [8]]
    together = [sorted(a.indices + b.indices) for a, b in zip(*parts, strict=True)]
    alone = split_batches(order, 4, World())
    assert together == [share.indices for share in alone]
    assert [a.counted + b.counted for a, b in zip(*parts, strict=True)] == [4, 4, 2]
    assert [share.total for share in alone] == [4, 4, 2]


def test_pictures_of_many_sizes_are_prepared_as_alone(tmp_path: Path) -> None:
    from pipeline.config import InputConfig
    from pipeline.graph.preprocess import Preprocess
    from pipeline.train.data import prepare

    rng = np.random.default_rng(0)
    sizes = [(8, 8), (30, 20), (8, 8), (31, 5)]
    pictures = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sizes]
    preprocess = Preprocess(InputConfig(kind="image", size=(16, 12)))
    together = prepare(preprocess, pictures)
    assert together.shape == (4, 3, 16, 12)
    for row, picture in enumerate(pictures):
        assert torch.equal(together[row], preprocess(torch.from_numpy(picture)[None])[0])
