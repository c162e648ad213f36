"""`verdict.json`: how near every artifact comes to the reference, and what is said of it."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, JsonValue

from pipeline.config.export import Format
from pipeline.system.machine import Machine
from pipeline.workspace.artifacts import Precision
from pipeline.workspace.results.base import Result

VERDICT = "verdict.json"
FIGURES = ("max_abs", "max_rel", "cosine", "sqnr_db", "top1")  # of the decisive output of a row

Outcome = Literal["pass", "inconclusive", "fail"]
WORST_FIRST: tuple[Outcome, ...] = ("fail", "inconclusive", "pass")


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Of at least one: nothing to judge is no pass."""
    known = set(outcomes)
    assert known
    return next(outcome for outcome in WORST_FIRST if outcome in known)


class Bounds(Result):
    """What one output is compared with; None is not asked. Units as in `OutputRow`.

    Two classes that the reference puts at most `tie` apart are a near tie: both may move by what
    fp32 is allowed, whatever the precision that is judged.
    """

    max_abs: float | None
    max_rel: float | None
    min_sqnr_db: float | None
    min_top1: float | None
    max_drop: float | None
    tie: float | None


class DropTest(Result):
    """The paired test of the metric's drop; docs/parity.md describes it.

    Positive drops are losses, in units of the metric; `low` and `high` are the ends of the
    interval. `worse` and `better` count samples that only the reference, and only the artifact,
    has right. `more_samples` would settle what is inconclusive, if that many are known to.
    """

    method: Literal["mcnemar", "bootstrap"]
    drop: float
    low: float
    high: float
    limit: float
    samples: int
    verdict: Outcome = "inconclusive"
    p_value: float | None = None
    worse: int | None = None
    better: int | None = None
    more_samples: int | None = None


class WorstSample(Result):
    """The number of a sample, and its largest absolute error."""

    sample: int
    max_abs: float


class OutputRow(Result):
    """One output over all samples: x is the artifact's answer, ref the reference's.

    `max_abs` is max |ref - x|, `scale` max |ref|, `max_rel` their ratio; `cosine` of all answers;
    `sqnr_db` is 10 log10(sum ref² / sum (ref - x)²), None where exact. `top1` is the share of equal
    decisions. `not_finite` counts samples with NaN or infinity in the answer. `unstable` are
    samples on which the model itself moves as far as the answer differs; no figure counts them,
    and `not_judged` says why.
    """

    name: str
    max_abs: float | None
    scale: float | None
    max_rel: float | None
    cosine: float | None
    sqnr_db: float | None
    worst: list[WorstSample]
    top1: float | None
    near_ties: int | None
    disagreements: list[int]
    not_finite: int
    reference_not_finite: int
    tolerances: Bounds
    reasons: list[str]
    unstable: list[int] = Field(default_factory=list)
    not_judged: str | None = None


class EdgeInput(Result):
    """What went in: its type and shape, its smallest and largest value."""

    name: str
    dtype: str
    shape: list[int]
    low: float | None
    high: float | None


class EdgeRow(Result):
    """One edge case. `max_abs` is over all outputs; None where nothing could be compared."""

    case: str
    kind: str
    inputs: list[EdgeInput]
    max_abs: float | None
    verdict: Literal["pass", "fail", "skipped"]
    reason: str | None


class VerdictRow(Result):
    """One artifact in one runtime. Figures are those of its decisive output, as in `OutputRow`;
    `metric` is the task's, `drop` by how much it is worse than the reference's. `reasons` say why
    it fails, `open` why it is inconclusive.

    What ran on a phone has its name in `device`, and was asked the `golden_samples` alone: it has
    no `outputs`, edge cases or test.
    """

    artifact: str
    format: Format
    precision: Precision
    recipe: str | None
    made_for: str
    runtime: str
    verdict: Outcome
    reasons: list[str]
    open: list[str] = Field(default_factory=list)
    max_abs: float | None
    max_rel: float | None
    cosine: float | None
    sqnr_db: float | None
    top1: float | None
    metric: float | None
    drop: float | None
    test: DropTest | None = None
    tolerances: Bounds | None = None
    outputs: list[OutputRow]
    edges: list[EdgeRow]
    device: str | None = None
    runner: dict[str, JsonValue] | None = None
    threads: int | None = None
    golden_samples: int | None = None
    warnings: list[str] = Field(default_factory=list)

    @property
    def where(self) -> str:
        """The runtime, and the phone that it ran on: two phones are two places."""
        return f"{self.runtime} · {self.device}" if self.device else self.runtime

    @property
    def why(self) -> list[str]:
        return [*self.reasons, *self.open]


class CompatibilityRow(Result):
    """Whether a target can read an artifact: the versions that the file has (`found`) against the
    newest that the target reads (`needs`). `judged`: it counts in the verdict."""

    artifact: str
    format: Format
    target: str
    needs: dict[str, int]
    found: dict[str, int]
    verdict: Outcome
    reasons: list[str]
    judged: bool

    @property
    def where(self) -> str:
        return self.target

    @property
    def why(self) -> list[str]:
        return self.reasons


class VerdictMetric(Result):
    """The task's metric, and what the reference comes to."""

    name: str
    goal: Literal["max", "min"]
    reference: float | None


class Verdict(Result):
    """The worst of its rows and of the targets that count. `samples` were asked of each row;
    `synthetic` says that they are noise. `confidence` is that of the paired tests."""

    verdict: Outcome
    samples: int
    synthetic: bool
    confidence: float
    labels: list[str] | None
    threads: int
    machine: Machine
    metric: VerdictMetric | None
    rows: list[VerdictRow]
    compatibility: list[CompatibilityRow]

    @property
    def judged(self) -> list[VerdictRow | CompatibilityRow]:
        """What counts: every row, and the targets that are named."""
        return [*self.rows, *(row for row in self.compatibility if row.judged)]
