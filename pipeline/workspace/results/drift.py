"""`drift.ARTIFACT.json`: where an artifact leaves the reference, layer by layer."""

from pipeline.workspace.results.base import Result
from pipeline.workspace.results.verdict import Outcome

DRIFT = "drift.*.json"


def drift_file(artifact: str) -> str:
    return DRIFT.replace("*", artifact)


class LayerRow(Result):
    """One layer, over all samples. `sqnr_db` and `max_abs` are of its tensor as the artifact runs,
    `own_...` with the reference's tensors handed in; None where exact, or not measured.
    `reference` is what it was compared with, `nodes` what the file has in its place."""

    name: str
    path: str
    operator: str
    nodes: list[str]
    tensor: str
    reference: str
    shape: list[int]
    sqnr_db: float | None
    own_db: float | None
    max_abs: float | None
    own_max_abs: float | None
    scale: float | None
    not_finite: int
    own_not_finite: int
    verdict: Outcome
    own_verdict: Outcome


class Mended(Result):
    """What the last tensor comes to with these layers' tensors handed over; None if exact."""

    layers: list[int]
    sqnr_db: float | None


class Drift(Result):
    """`bar_db` is what a layer's SQNR may not fall below as the artifact runs, `own_bar_db` what
    its own may not. `first_bad`, `culprits` and `mended` name layers by their place in `layers`;
    `matched` tensors have a counterpart in the reference, `unmatched` have none."""

    artifact: str
    against: str
    runtime: str
    samples: int
    matched: int
    unmatched: int
    bar_db: float
    own_bar_db: float
    layers: list[LayerRow]
    first_bad: int | None
    culprits: list[int]
    remedy: str | None
    mended: list[Mended] | None = None

    @property
    def worst(self) -> LayerRow | None:
        """The layer to blame; None where none is bad."""
        if self.first_bad is None:
            return None
        return self.layers[(self.culprits or [self.first_bad])[0]]
