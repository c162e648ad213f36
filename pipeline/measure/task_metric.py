"""The task's own metric, the same in training, verification and quantization."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.signature import TensorSpec
from pipeline.project.entries import load_entry, user_code

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import Metric

Goal = Literal["max", "min"]


class TaskMetric:
    """Gathers outputs (as the exported graph gives them, its first one) and targets.

    `goal` says whether more is better. `compute` gives a float over all that was gathered since
    `reset`. What the metric raises becomes a UsageError that names it.
    """

    def __init__(
        self,
        name: str,
        goal: Goal,
        metric: "Metric | _Gathered",
        root: Path,
        classes: int | None = None,
    ) -> None:
        """`classes`: targets are checked to be one of so many, where that is known."""
        self.name = name
        self.goal = goal
        self._metric = metric
        self._root = root
        self._classes = classes

    def update(self, outputs: "Tensor", targets: "Tensor") -> None:
        """`outputs` [batch, ...] and `targets` [batch, ...], or [batch] for classes. Shares of
        classes, such as one-hot rows [batch, classes], stand for their largest."""
        shares = targets.is_floating_point() and targets.shape == outputs.shape
        if self._classes is not None and shares and targets.ndim > 1:
            targets = targets.argmax(-1)
        self._check(targets)
        same = outputs.numel() == targets.numel()
        if isinstance(self._metric, _Gathered) or outputs.shape == targets.shape or not same:
            gathered = outputs
        else:
            gathered = outputs.reshape(targets.shape)  # [batch, 1] and [batch] are the same
        with self._said(f"outputs {list(outputs.shape)} and targets {list(targets.shape)}"):
            self._metric.update(gathered, targets)

    def compute(self) -> float:
        with self._said("all outputs and targets"):
            return float(self._metric.compute())

    def reset(self) -> None:
        self._metric.reset()

    def sums(self) -> "dict[str, Tensor] | None":
        """What was gathered since `reset`, where that is nothing but sums over the samples, such as
        a confusion matrix; None for other metrics."""
        from torchmetrics import Metric
        from torchmetrics.utilities.data import dim_zero_sum

        metric = self._metric
        if not isinstance(metric, Metric) or not metric._reductions:
            return None
        states = {name: getattr(metric, name) for name in metric._reductions}
        summed = all(reduce is dim_zero_sum for reduce in metric._reductions.values())
        if not summed or any(isinstance(state, list) for state in states.values()):
            return None
        return {name: state.clone() for name, state in states.items()}

    def compute_of(self, sums: "dict[str, Tensor]") -> float:
        """As `compute`, of samples whose sums are these."""
        self.reset()
        for name, state in sums.items():
            setattr(self._metric, name, state)
        self._metric._update_count = 1  # type: ignore[union-attr]  # else it warns of nothing gathered
        return self.compute()

    def drop(self, reference: float, value: float) -> float:
        """How much worse `value` is than `reference`; negative if better."""
        return reference - value if self.goal == "max" else value - reference

    def _check(self, targets: "Tensor") -> None:
        """torchmetrics counts how many different targets there are, not which."""
        if self._classes is None or targets.is_floating_point() or not targets.numel():
            return
        least, most = int(targets.min()), int(targets.max())
        if least < 0 or most >= self._classes:
            raise UsageError(
                f"A target is class {least if least < 0 else most}; the model gives "
                f"{self._classes} classes, 0 to {self._classes - 1}.",
                "Check the targets of [data] entry, and how many classes [model] args ask for.",
            )

    def _said(self, given: str) -> AbstractContextManager[None]:
        return user_code(f"The metric {self.name}, given {given},", self._root)


class _Gathered:
    """A function of the user's over all outputs and targets at once, of all processes."""

    def __init__(self, function: Callable[["Tensor", "Tensor"], Any]) -> None:
        self._function = function
        self.reset()

    def update(self, outputs: "Tensor", targets: "Tensor") -> None:
        self._outputs.append(outputs.detach().cpu())
        self._targets.append(targets.detach().cpu())

    def compute(self) -> Any:
        import torch
        import torch.distributed as dist

        batches = list(zip(self._outputs, self._targets, strict=True))
        if dist.is_initialized() and dist.get_world_size() > 1:
            everyone: list[list[tuple[Tensor, Tensor]]] = [[]] * dist.get_world_size()
            dist.all_gather_object(everyone, batches)
            batches = [_interleaved(parts) for parts in zip_longest(*everyone)]
        outputs, targets = zip(*batches, strict=True)
        return self._function(torch.cat(outputs), torch.cat(targets))

    def reset(self) -> None:
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []


def _interleaved(
    parts: "tuple[tuple[Tensor, Tensor] | None, ...]",
) -> "tuple[Tensor, Tensor]":
    """A batch that was dealt out to the processes, in its own order again."""
    import torch

    there = [part for part in parts if part]
    size = sum(len(outputs) for outputs, _ in there)
    outputs, targets = (torch.empty(size, *one.shape[1:], dtype=one.dtype) for one in there[0])
    for rank, part in enumerate(there):
        outputs[rank :: len(parts)], targets[rank :: len(parts)] = part
    return outputs, targets


def build_metric(config: Config, classes: int | None) -> TaskMetric | None:
    """The metric of `[output]`; None for outputs of kind `tensor` without one.

    `classes` is the size of the first output's last axis, for metrics that need to know it.
    """
    given = config.output.metric or _DEFAULTS.get(config.output.kind)
    if given is None:
        return None
    if ":" in given:
        function = load_entry(given, config.root, "output.metric")
        goal = "max" if config.output.metric_goal == "auto" else config.output.metric_goal
        return TaskMetric(given.rpartition(":")[2], goal, _Gathered(function), config.root)
    return _from_torchmetrics(config, given, classes)


def threshold(config: Config, first: TensorSpec) -> float | None:
    """What the single score of a classifier is compared with: above it the answer is yes.

    None for a first output of several classes, or of another kind.
    """
    if config.output.kind != "classification" or first.shape[-1:] != (1,):
        return None
    return 0.5 if config.activation == "sigmoid" else 0.0


_DEFAULTS = {"classification": "Accuracy", "regression": "MeanSquaredError"}


def _from_torchmetrics(config: Config, name: str, classes: int | None) -> TaskMetric:
    import torchmetrics

    found = getattr(torchmetrics, name, None)
    if not (isinstance(found, type) and name[:1].isupper()):
        raise UsageError(
            f"output.metric: torchmetrics has no {name!r}.",
            "Name a class of torchmetrics (Accuracy, F1Score ...) or a function: file.py:fn.",
        )
    args = dict(config.output.metric_args)
    if config.output.kind == "classification" and "task" not in args:
        args = _classification_args(classes) | args
    with user_code(f"torchmetrics.{name}({args})", config.root):
        metric = found(**args)
    multiclass = args.get("task") == "multiclass" and "ignore_index" not in args
    goal = config.output.metric_goal
    if goal == "auto":
        goal = "min" if metric.higher_is_better is False else "max"
    return TaskMetric(name, goal, metric, config.root, classes if multiclass else None)


def _classification_args(classes: int | None) -> dict[str, Any]:
    """A single score says yes or no; several are classes of which one is right."""
    return {"task": "binary"} if classes == 1 else {"task": "multiclass", "num_classes": classes}
