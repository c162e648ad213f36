"""What every row of a verification is judged with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.config import Config
from pipeline.graph.signature import Signature
from pipeline.measure.task_metric import TaskMetric
from pipeline.project.samples import Samples
from pipeline.verify.reference import Reference
from pipeline.verify.tolerances import Judged, bounds
from pipeline.workspace.artifacts import Precision
from pipeline.workspace.results.verdict import Bounds

if TYPE_CHECKING:
    from pipeline.measure.conditioning import Conditioning


@dataclass(frozen=True)
class RowContext:
    """`metric` is None without one, on noise, or where the reference's is no finite number.
    `conditioning` is the reference's."""

    config: Config
    signature: Signature
    reference: Reference
    metric: TaskMetric | None
    samples: Samples
    conditioning: "Conditioning"

    def judged(self, index: int, scale: float | None = None) -> Judged:
        """What the bounds of output `index` depend on, at the reference's scale by default."""
        spec = self.signature.outputs[index]
        known = self.metric is not None and self.reference.metric is not None and index == 0
        return Judged(
            scale=self.reference.scales[index] if scale is None else scale,
            discrete=spec.dtype == "bool" or "int" in spec.dtype,
            classes=index == 0 and self.config.output.kind == "classification",
            metric=(self.metric.goal, self.reference.metric) if known else None,  # type: ignore[union-attr,arg-type]
            synthetic=self.samples.synthetic,
            name=spec.name,
        )

    def bounds(self, precision: Precision) -> list[Bounds]:
        """Of each output, at the reference's scale."""
        outputs = range(len(self.signature.outputs))
        return [bounds(self.config, precision, self.judged(index)) for index in outputs]

    def drop(self, metric: float | None) -> float | None:
        """By how much an artifact's metric is worse than the reference's."""
        if self.metric is None or self.reference.metric is None or metric is None:
            return None
        return self.metric.drop(self.reference.metric, metric)
