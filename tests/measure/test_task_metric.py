from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.config import Config
from pipeline.config.file import parse_config
from pipeline.errors import UsageError
from pipeline.graph.signature import TensorSpec
from pipeline.measure.task_metric import TaskMetric, build_metric, threshold


def config(folder: Path = Path(), **output: Any) -> Config:
    data = {"model": {"onnx": "m.onnx"}, "output": output}
    return parse_config(data, folder.resolve() / "pipeline.toml")


def built(settings: Config, classes: int | None = None) -> TaskMetric:
    metric = build_metric(settings, classes)
    assert metric is not None
    return metric


def test_defaults_by_kind() -> None:
    accuracy = built(config(kind="classification"), 3)
    assert (accuracy.name, accuracy.goal) == ("Accuracy", "max")
    error = built(config(kind="regression"))
    assert (error.name, error.goal) == ("MeanSquaredError", "min")
    assert build_metric(config(kind="tensor"), 3) is None


def test_accuracy_over_batches() -> None:
    metric = built(config(kind="classification"), 3)
    metric.update(torch.eye(3), torch.tensor([0, 1, 1]))
    metric.update(torch.eye(3)[:1], torch.tensor([0]))
    assert metric.compute() == 0.75
    metric.reset()
    metric.update(torch.eye(3), torch.tensor([0, 1, 2]))
    assert metric.compute() == 1.0


def test_the_drop_is_how_much_worse() -> None:
    most, least = built(config(kind="classification"), 3), built(config(kind="regression"))
    assert most.drop(0.75, 0.5) == 0.25
    assert most.drop(0.5, 0.75) == -0.25
    assert least.drop(1.0, 1.5) == 0.5


def test_columns_of_one_fit_targets_without() -> None:
    error = built(config(kind="regression"))
    error.update(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0]))
    assert error.compute() == 2.0  # not what broadcasting [2, 1] and [2] would give
    one = built(config(kind="classification"), 1)
    one.update(torch.tensor([[0.9], [0.2]]), torch.tensor([1, 1]))
    assert one.compute() == 0.5


def test_a_function_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "scores.py").write_text(
        "def worst(outputs, targets): return (outputs[:, 0] - targets).abs().max()\n"
        "def broken(outputs, targets): return targets['x']\n",
        encoding="utf-8",
    )
    metric = built(config(tmp_path, metric="scores.py:worst", metric_goal="min"))
    metric.update(torch.tensor([[1.0]]), torch.tensor([1.5]))
    metric.update(torch.tensor([[1.0]]), torch.tensor([4.0]))
    assert (metric.name, metric.goal, metric.compute()) == ("worst", "min", 3.0)

    broken = built(config(tmp_path, metric="scores.py:broken"))
    broken.update(torch.tensor([[1.0]]), torch.tensor([1.5]))
    with pytest.raises(UsageError, match=r"The metric broken.*\n  scores.py:2 in broken"):
        broken.compute()


def test_one_hot_targets_stand_for_their_class() -> None:
    metric = built(config(kind="classification"), 3)
    outputs = torch.tensor([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    metric.update(outputs, torch.eye(3)[[1, 0, 1]])
    assert metric.compute() == pytest.approx(2 / 3)


def test_targets_beyond_the_classes() -> None:
    metric = built(config(kind="classification"), 3)
    with pytest.raises(UsageError, match="A target is class 7; the model gives 3 classes"):
        metric.update(torch.eye(3), torch.tensor([0, 1, 7]))
    with pytest.raises(UsageError, match="A target is class -1"):
        metric.update(torch.eye(3), torch.tensor([0, 1, -1]))
    ignoring = built(config(kind="classification", metric_args={"ignore_index": -1}), 3)
    ignoring.update(torch.eye(3), torch.tensor([0, 1, -1]))
    assert ignoring.compute() == 1.0


def test_an_unknown_metric() -> None:
    with pytest.raises(UsageError, match="torchmetrics has no 'Acuracy'"):
        build_metric(config(kind="classification", metric="Acuracy"), 3)


def test_arguments_that_it_does_not_take() -> None:
    wrong = config(kind="classification", metric_args={"colour": 1})
    with pytest.raises(UsageError, match=r"torchmetrics\.Accuracy\(.*colour"):
        build_metric(wrong, 3)


@pytest.mark.parametrize(
    ("kind", "activation", "shape", "expected"),
    [
        ("classification", "sigmoid", (None, 1), 0.5),
        ("classification", "none", (None, 1), 0.0),
        ("classification", "auto", (None, 3), None),
        ("regression", "auto", (None, 1), None),
    ],
)
def test_a_single_score_has_a_threshold(
    kind: str, activation: str, shape: tuple[int | None, ...], expected: float | None
) -> None:
    settings = config(kind=kind, activation=activation)
    assert threshold(settings, TensorSpec("y", "float32", shape)) == expected
