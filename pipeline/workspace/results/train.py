"""`train.json`: what a training came to."""

from typing import Literal

from pipeline.workspace.results.base import Result

TRAIN = "train.json"
PROFILE_SUMMARY = "summary.json"  # in the folder of the profile, beside its trace


class TrainingMetric(Result):
    """The task's metric on the validation set, with the weights that were kept; `value` is None
    where it was no finite number. `goal` says whether it is to be large or small."""

    name: str
    goal: Literal["max", "min"]
    value: float | None


class Loss(Result):
    """Means over the last epoch's samples."""

    name: str
    train: float | None
    validation: float | None


class Training(Result):
    """No times and no paths: the same training gives the same bytes.

    `epochs` is what was asked, `trained_epochs` what was done before it was stopped, if it was;
    `why` says why nothing was trained. `best_epoch` counts from 1; None where no value of the
    metric or loss was finite. `threads` are those of this machine's CPU, `parameters` numbers.
    """

    epochs: int
    seed: int
    torch: str
    device: str
    device_name: str
    threads: int
    amp: str
    parameters: int
    trained_epochs: int
    weights: str | None
    metric: TrainingMetric | None
    validation_samples: int
    train_samples: int | None = None
    steps: int | None = None
    best_epoch: int | None = None
    loss: Loss | None = None
    why: str | None = None


class Part(Result):
    """A part of a step: its milliseconds, and its share of the whole."""

    part: str
    ms: float
    share: float


class Exchanges(Result):
    """Of a step with several processes: how long an exchange was under way, and how many were."""

    ms: float
    exchanges: float


class Profile(Result):
    """Where a step's time goes, on rank 0: means over `steps`. `trace` is the path of the trace;
    `communication` is None for one process, and lies within the parts."""

    steps: int
    processes: int
    step_ms: float
    samples_per_s: float
    parts: list[Part]
    communication: Exchanges | None
    trace: str
