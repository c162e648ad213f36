"""The task's metric over the answers of one runner, and what is needed to compare it in pairs."""

import copy
import math
import warnings
from dataclasses import dataclass

import numpy as np

from pipeline.errors import UsageError
from pipeline.graph.array import Array
from pipeline.measure.task_metric import TaskMetric
from pipeline.project.samples import Samples
from pipeline.verify.paired import Floats, compare_counts, compare_means, compare_resampled
from pipeline.workspace.results.verdict import DropTest

MOST_KEPT = 256 * 2**20  # bytes of answers that a metric which is no mean is resampled from
SAME = 1e-6  # of a metric computed in float32


@dataclass(frozen=True)
class Scored:
    """`value` is the metric over all samples, None where it has none. `each` is the metric of each
    sample alone, float64 [n], where the whole is their mean. Where it is not, `sums` are what each
    sample adds to the metric's states, [n, ...], or else `answers` the first outputs, as far as
    they fit into memory."""

    value: float | None
    each: Floats | None = None
    sums: dict[str, Array] | None = None
    answers: Array | None = None


class Scores:
    """Gathers first outputs and targets. Without a metric, without targets, or once an answer is
    not finite, there is no value. `paired` also gathers what `drop_test` needs."""

    def __init__(self, metric: TaskMetric | None, samples: Samples, paired: bool = False) -> None:
        self.metric = metric
        self.targets = samples.targets
        self.known = metric is not None and samples.targets is not None
        self.single = copy.deepcopy(metric) if self.known and paired else None
        self.paired = paired
        self._each_counts = self.single is not None
        self.each: list[float] = []
        self.sums: list[dict[str, Array]] | None = [] if self.single is not None else None
        self.answers: list[Array] | None = [] if self.single is not None else None
        if metric is not None:
            metric.reset()

    def update(self, answers: Array, samples: list[int]) -> None:
        """The first output for `samples`, [len(samples), ...]. Raises UsageError if the targets
        are not of one shape, or if the metric raises."""
        if not self.known or self.metric is None or self.targets is None:
            return
        if not np.isfinite(answers).all():
            self.known = False
            return
        _update(self.metric, answers, [self.targets[index] for index in samples])
        if self.paired:
            for row, index in enumerate(samples):
                self._one(answers[row : row + 1], self.targets[index])
            self._keep(answers)

    def result(self) -> Scored:
        if not self.known or self.metric is None:
            return Scored(None)
        value = self.metric.compute()
        if not math.isfinite(value):
            return Scored(None)
        each = np.array(self.each)
        if self._each_counts and len(each) and _alike(float(each.mean()), value):
            return Scored(value, each=each)
        if self.sums:
            names = self.sums[0]
            return Scored(value, sums={n: np.stack([one[n] for one in self.sums]) for n in names})
        return Scored(value, answers=np.concatenate(self.answers) if self.answers else None)

    def _keep(self, answers: Array) -> None:
        """Until they are too many, or of several shapes; not where sums say the same."""
        if self.sums and self.targets is not None:
            each = sum(state.nbytes for state in self.sums[0].values())
            if each * len(self.targets) > MOST_KEPT:
                self.sums = None
            else:
                self.answers = None
        if self.answers is None:
            return
        self.answers.append(answers)
        alike = answers.shape[1:] == self.answers[0].shape[1:]
        if not alike or sum(array.nbytes for array in self.answers) > MOST_KEPT:
            self.answers = None

    def _one(self, answer: Array, target: Array) -> None:
        """The metric of one sample; many have none, such as a rank correlation. What it adds to the
        sums of all is known even then."""
        if self.single is None or (self.sums is None and not self._each_counts):
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value, sums = math.nan, None
            try:
                self.single.reset()
                _update(self.single, answer, [target])
                sums = self.single.sums()
                value = self.single.compute() if self._each_counts else math.nan
            except (UsageError, RuntimeError, ValueError):
                pass  # it has none
        self.each.append(value)
        self._each_counts = self._each_counts and math.isfinite(value)
        if sums is None:
            self.sums = None
        elif self.sums is not None:
            self.sums.append({name: state.numpy() for name, state in sums.items()})


def drop_test(
    metric: TaskMetric,
    targets: list[Array],
    reference: Scored,
    artifact: Scored,
    limit: float,
    confidence: float,
) -> DropTest | None:
    """Whether the artifact's metric is worse than the reference's by more than `limit`.

    None where a metric that is no mean over samples has too large answers to resample.
    """
    if reference.each is not None and artifact.each is not None:
        lost = _lost(metric, reference.each, artifact.each)
        if _right_or_wrong(reference.each) and _right_or_wrong(artifact.each):
            worse, better = int((lost > 0).sum()), int((lost < 0).sum())
            return compare_counts(worse, better, len(lost), limit, confidence)
        return compare_means(lost, limit, confidence)
    again = copy.deepcopy(metric)
    if reference.sums is not None and artifact.sums is not None:
        sums = reference.sums, artifact.sums

        def drop_of(indices: Array) -> float:
            return metric.drop(*(_of_sums(again, one, indices) for one in sums))

    elif reference.answers is not None and artifact.answers is not None:
        both = reference.answers, artifact.answers

        def drop_of(indices: Array) -> float:
            drawn = [targets[index] for index in indices]
            return metric.drop(*(_of_answers(again, one[indices], drawn) for one in both))

    else:
        return None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compare_resampled(drop_of, len(targets), limit, confidence)


def _lost(metric: TaskMetric, reference: Floats, artifact: Floats) -> Floats:
    return reference - artifact if metric.goal == "max" else artifact - reference


def _right_or_wrong(values: Floats) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _alike(one: float, other: float) -> bool:
    return math.isfinite(one) and abs(one - other) <= SAME * max(1.0, abs(other))


def _of_sums(metric: TaskMetric, sums: dict[str, Array], indices: Array) -> float:
    """The metric over drawn samples: each counts as often as it was drawn."""
    import torch

    some = next(iter(sums.values()))
    counts = np.bincount(indices, minlength=len(some))
    states = {n: np.tensordot(counts.astype(one.dtype), one, 1) for n, one in sums.items()}
    return metric.compute_of({n: torch.from_numpy(np.asarray(s)) for n, s in states.items()})


def _of_answers(metric: TaskMetric, answers: Array, targets: list[Array]) -> float:
    metric.reset()
    _update(metric, answers, targets)
    return metric.compute()


def _update(metric: TaskMetric, answers: Array, targets: list[Array]) -> None:
    import torch

    shapes = {target.shape for target in targets}
    if len(shapes) > 1:
        raise UsageError(
            f"Targets of the validation set have several shapes: {sorted(shapes)}.",
            f"The metric {metric.name} takes them in batches; make them alike.",
        )
    metric.update(torch.from_numpy(answers), torch.from_numpy(np.stack(targets)))
