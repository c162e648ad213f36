"""The task's metric over the answers of one runner."""

import math

import numpy as np

from pipeline.errors import UsageError
from pipeline.samples import Array, Samples
from pipeline.task_metric import TaskMetric


class Scores:
    """Gathers first outputs and targets. Without a metric, without targets, or once an answer is
    not finite, there is no value."""

    def __init__(self, metric: TaskMetric | None, samples: Samples) -> None:
        self.metric = metric
        self.targets = samples.targets
        self.known = metric is not None and samples.targets is not None
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
        import torch

        targets = [self.targets[index] for index in samples]
        shapes = {target.shape for target in targets}
        if len(shapes) > 1:
            raise UsageError(
                f"Targets of the validation set have several shapes: {sorted(shapes)}.",
                f"The metric {self.metric.name} takes them in batches; make them alike.",
            )
        self.metric.update(torch.from_numpy(answers), torch.from_numpy(np.stack(targets)))

    def value(self) -> float | None:
        if not self.known or self.metric is None:
            return None
        value = self.metric.compute()
        return value if math.isfinite(value) else None
