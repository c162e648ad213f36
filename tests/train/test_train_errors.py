"""What can be wrong with data, model, loss and settings: a sentence that names it, and a remedy."""

import os
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch.utils.data import Dataset

from pipeline.errors import SetupError, UsageError
from pipeline.train.data import Loader, Share
from tests.command import children
from tests.train.conftest import MakeProject

# Each function of `data` changes one of the datasets; each of `model` is an entry.
WRONG_DATA = """

class Changed(Points):
    def __init__(self, change, at=(17,)):
        super().__init__(44, 1)
        self.change, self.at = change, at

    def __getitem__(self, index):
        point, label = super().__getitem__(index)
        return self.change(point, label) if index in self.at else (point, label)


def fails(point, label):
    raise OSError("the picture is gone")


def ends(point, label):
    os._exit(3)


CHANGES = {
    "nan": lambda point, label: (point * np.float32("nan"), label),
    "nan target": lambda point, label: (point, float("nan")),
    "label 2": lambda point, label: (point, 2),
    "label -1": lambda point, label: (point, -1),
    "text": lambda point, label: (point, "yes"),
    "no pair": lambda point, label: point,
    "longer": lambda point, label: (np.ones(5, np.float32), label),
    "dict": lambda point, label: ({"x": point}, label),
    "raises": fails,
    "dies": ends,
}


def changed(change, split="train"):
    return build_data() | {split: Changed(CHANGES[change])}


def only_train():
    return {"train": Points(44, 1)}


def no_validation():
    return {"train": Points(44, 1), "validation": Points(0, 1)}
"""

WRONG_MODELS = """

class Gives(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.layer, self.what = nn.Linear(4, 2), what

    def forward(self, x):
        scores = self.layer(x)
        return {
            "text": lambda: "yes",
            "nothing": lambda: None,
            "list of text": lambda: [scores, "yes"],
            "numbers": lambda: scores.argmax(1),
            "mean": lambda: scores.mean(),
            "half": lambda: scores[: len(scores) // 2],
            "three": lambda: scores[:, [0, 0, 1]],
            "nan": lambda: scores * (float("nan") if self.training else 1),
            "no gradient": lambda: scores.detach(),
            "too much": lambda: torch.empty(2**50),
            "two": lambda: (scores, scores),
        }[self.what]()


def frozen():
    return nn.Linear(4, 2).requires_grad_(False)


def one_output():
    return nn.Linear(4, 1)


def normed():
    return nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2))


def rising(outputs, targets):
    # The fifth batch of the training is the first step of its second epoch.
    rising.calls += torch.is_grad_enabled()
    return outputs.mean() * (float("inf") if rising.calls == 5 else 1)


rising.calls = 0


def per_sample(outputs, targets):
    return (outputs - 1).mean(1)


def no_optimizer(parameters, lr):
    return "none"


def bad_metric(outputs, targets):
    return outputs[7, 7]
"""


def test_nan_in_the_data_names_sample_and_step(project: MakeProject) -> None:
    points = project('data.entry="points.py:changed"', 'data.args={change="nan"}', code=WRONG_DATA)
    for workers in (0, 2):
        with pytest.raises(UsageError, match=r"At epoch 1, step [1-4]: train sample 17: x holds"):
            points.train(f"train.workers={workers}")


@pytest.mark.parametrize(
    ("change", "split", "said"),
    [
        ("nan target", "train", "sample 17: the target holds NaN or infinity"),
        ("label 2", "train", "train sample 17 has the label 2; the model gives 2 outputs"),
        ("label -1", "train", "train sample 17 has the label -1"),
        ("label 2", "validation", "validation sample 17 has the label 2"),
        ("text", "train", "sample 17: the target is str, not a number"),
        ("no pair", "train", "sample 17 is a ndarray, not (input, target)"),
        ("longer", "train", "have inputs of different shapes: "),
        ("dict", "train", "have different inputs: "),
        ("raises", "train", "raised OSError: the picture is gone\n  points.py:"),
        ("raises", "validation", "validation sample 17 raised OSError"),
    ],
)
@pytest.mark.parametrize("workers", [0, 2])
def test_wrong_data(project: MakeProject, change: str, split: str, said: str, workers: int) -> None:
    args = f'data.args={{ change = "{change}", split = "{split}" }}'
    points = project('data.entry="points.py:changed"', args, code=WRONG_DATA)
    with pytest.raises(UsageError) as wrong:
        points.train(f"train.workers={workers}")
    assert said in wrong.value.message


def test_a_worker_that_dies(project: MakeProject) -> None:
    points = project('data.entry="points.py:changed"', 'data.args={change="dies"}', code=WRONG_DATA)
    with pytest.raises(SetupError, match="A process that reads the data ended") as wrong:
        points.train("train.workers=2")
    assert "train.workers = 0" in str(wrong.value.hint)
    assert not children()  # nor the worker that did not die


class Dies(Dataset[Any]):
    def __init__(self, when: Path) -> None:
        self.when = when

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if index == 1:
            while not self.when.exists():
                time.sleep(0.02)
            os._exit(3)
        return np.zeros(4, np.float32), 0


def test_a_death_is_told_by_the_next_read(project: MakeProject, tmp_path: Path) -> None:
    config, when = project().job("train.workers=1").config, tmp_path / "now"
    with closing(Loader(config, Dies(when), "train", torch.device("cpu"))) as loader:
        batches = loader.batches(0, [Share([index], 1, 1) for index in range(2)])
        next(batches)
        worker = max(children(), key=lambda child: child.pid)
        when.touch()
        deadline = time.monotonic() + 60
        while worker.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)  # torch would raise in one of these lines
        with pytest.raises(SetupError, match=r"A process that reads the data ended.* code 3"):
            next(batches)


def test_sets_that_are_missing_or_empty(project: MakeProject) -> None:
    points = project(code=WRONG_DATA)
    with pytest.raises(UsageError, match="returned train, but no 'validation' set"):
        points.train("data.entry=points.py:only_train")
    with pytest.raises(UsageError, match=r"The validation set of points\.py:no_validation has no"):
        points.train("data.entry=points.py:no_validation")
    with pytest.raises(UsageError, match=r"The train set of points\.py:build_data has no samples"):
        points.train("data.args={train = 0}")


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("text", "The model returned a str"),
        ("nothing", "The model returned nothing"),
        ("list of text", "The model returned a str as 1"),
        ("numbers", "first output is int64, which has no gradient"),
        ("mean", "first output is [] for a batch of 12 samples"),
        ("half", "first output is [6, 2] for a batch of 12 samples"),
        ("three", "output.labels has 2 names; the model gives 3 outputs"),
        ("nan", "The loss became nan at epoch 1, step 1"),
        ("no gradient", "The backward pass at epoch 1, step 1 raised RuntimeError"),
        ("too much", "out of memory at train.batch_size = 12"),
    ],
)
def test_wrong_models(project: MakeProject, what: str, said: str) -> None:
    labels = 'output.labels=["no", "yes"]'
    args = f'model.args={{ what = "{what}" }}'
    points = project("model.entry=points.py:Gives", args, labels, code=WRONG_MODELS)
    with pytest.raises((UsageError, SetupError)) as wrong:
        points.train()
    assert said in wrong.value.message


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["train.loss=points.py:rising"], "The loss became -inf at epoch 2, step 5"),
        (["train.loss=points.py:per_sample"], "per_sample gave [12], not one number"),
        (["train.loss=CrossEntropy"], "Did you mean 'CrossEntropyLoss'"),
        (["train.loss_args={wieght = 1}"], "train.loss: CrossEntropyLoss({'wieght': 1})"),
        (["train.loss=MSELoss"], "MSELoss compares them element by element"),
        (["train.loss=NLLLoss", "train.loss_args={weight = [1]}"], "train.loss: NLLLoss, on"),
        (["train.optimizer=Adan"], "Did you mean 'Adam'"),
        (["train.optimizer=LBFGS"], "evaluates the model several times a step"),
        (["train.optimizer=SparseAdam"], "train.optimizer: SparseAdam, at epoch 1, step 1,"),
        (["train.optimizer=points.py:no_optimizer"], "no_optimizer returned a str"),
        (["train.optimizer_args={momentun = 1}"], "train.optimizer: AdamW(lr=0.02"),
        (["train.scheduler=StepLR"], "missing 1 required positional argument: 'step_size'"),
        (["train.scheduler=CosineLR"], "torch has no 'CosineLR'"),
        (
            ["train.scheduler=ReduceLROnPlateau", "train.scheduler_every=step"],
            "needs the validation, once an epoch",
        ),
        (
            ["train.scheduler=OneCycleLR", "train.scheduler_args={total_steps = 2}"],
            "Tried to step 3 times",
        ),
        (["output.activation=sigmoid"], "BCEWithLogitsLoss compares them element by element"),
        (["output.kind=tensor"], "MSELoss compares them element by element"),
        (["output.metric=points.py:bad_metric"], "The metric bad_metric, given all outputs"),
        (['output.names=["a", "b"]'], "output.names has 2 names"),
        (["model.entry=points.py:frozen"], "no parameter that can be trained"),
        (["model.entry=points.py:normed", "train.batch_size=43"], "a batch of one sample"),
        (["train.device=gpu"], "'gpu' is not a device"),
        (["train.device=cuda:99"], "this machine has no 'cuda:99'"),
    ],
)
def test_wrong_settings(project: MakeProject, overrides: list[str], said: str) -> None:
    points = project(*overrides, "train.epochs=4", code=WRONG_MODELS)
    with pytest.raises((UsageError, SetupError)) as wrong:
        points.train()
    assert said in wrong.value.message
    assert not _published(points.folder / "out")


def _published(out: Any) -> bool:
    return (out / "weights.safetensors").exists()


def test_a_loss_that_explodes_says_what_to_lower(project: MakeProject) -> None:
    points = project("train.lr=1e20", "train.optimizer=SGD", "train.epochs=20")
    with pytest.raises(UsageError, match=r"became (nan|inf) at .*epoch \d+.*step \d+") as wrong:
        points.train()
    assert "Lower train.lr (the learning rate was 1e+20)" in str(wrong.value.hint)
