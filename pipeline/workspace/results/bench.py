"""`bench.json`, and what `pipeline bench --compare` finds."""

from pydantic import Field, JsonValue

from pipeline.config.export import Format
from pipeline.system.machine import Machine
from pipeline.workspace.artifacts import Precision
from pipeline.workspace.results.base import Result
from pipeline.workspace.results.ratio import Ratio, Tells

BENCH = "bench.json"
LATENCIES = "latencies.npz"  # beside it: the milliseconds of every run


class Conditions(Result):
    """What else was at work on the machine: load averages over 1, 5 and 15 minutes, and the percent
    of the time that the hypervisor gave to others."""

    load_average_before: list[float]
    load_average_after: list[float]
    steal_percent: float


class Figures(Result):
    """What was measured of a contestant, at batch size `batch`; None where it came to nothing, and
    `error` says why.

    `p90_ms` is the headline, `p99_ms` its like, both with 99 % confidence, and None for too few
    runs; `p50_ms` and `p90_nearest_ms` are by nearest rank. `throughput` is samples per second by
    batch size. `baseline_bytes` is the memory before the artifact was loaded. `steal_percent` is
    that of its worst turn. `runner` is what the runtime says of itself.
    """

    load_ms: float | None = None
    first_ms: float | None = None
    p50_ms: float | None = None
    p90_ms: float | None = None
    p90_nearest_ms: float | None = None
    p99_ms: float | None = None
    threads: int | None = None
    runs: int | None = None
    warmup_runs: int | None = None
    peak_bytes: int | None = None
    baseline_bytes: int | None = None
    throughput: dict[str, float] = Field(default_factory=dict)
    runner: dict[str, JsonValue] = Field(default_factory=dict)
    batch: int
    rounds: int | None = None
    steal_percent: float | None = None
    error: str | None = None


class BenchRow(Figures):
    """One artifact in one runtime, or the eager model. `computed_in` counts the operators with
    weights by the precision that they really compute in. `against_eager` is the ratio of medians.

    A phone's row has its name in `device` and all its runs in `latencies_ms`.
    """

    artifact: str
    format: Format | None
    precision: Precision
    computed_in: dict[str, int] | None
    runtime: str
    peer: bool = False
    file_bytes: int | None
    against_eager: Ratio | None
    device: str | None = None
    latencies_ms: list[float] | None = None

    @property
    def where(self) -> str:
        """The runtime, and the phone that it ran on: two phones are two places."""
        return f"{self.runtime} · {self.device}" if self.device else self.runtime


class Control(Result):
    """The A/A control: one contestant against itself. `steady` says whether the ratio lies within
    what is `allowed`."""

    artifact: str
    runtime: str
    ratio: Ratio | None
    allowed: list[float]
    steady: bool

    @property
    def trouble(self) -> str:
        """What is wrong where it is not steady, a sentence without its end."""
        name = f"{self.artifact} in {self.runtime}"
        if self.ratio is None:
            return f"the control, {name} twice, was not measured"
        low, high = self.allowed
        return f"{name} against itself came to {self.ratio.ratio:.3f}, outside {low:g} to {high:g}"


class Bench(Result):
    """A contest: `rounds` turns of at least `seconds` for each row, with inputs drawn by `seed`
    from so many `samples`. `void` says that the control was not steady."""

    machine: Machine
    conditions: Conditions
    threads: int
    rounds: int
    seconds: float
    seed: int
    synthetic: bool
    samples: int
    control: Control
    void: bool
    rows: list[BenchRow]


class ComparedRow(Result):
    """An artifact of ours against theirs. `ratio` is of the medians of rounds, ours to theirs."""

    artifact: str
    runtime: str
    same_file: bool
    p50_ms: float | None
    p90_ms: float | None
    other_p50_ms: float | None
    other_p90_ms: float | None
    ratio: Ratio | None
    tells: Tells
    error: str | None


class ComparedBench(Result):
    """This run against another, or a bundle, measured in turns here and now."""

    against: str
    machine: Machine
    conditions: Conditions
    control: Control
    void: bool
    regressions: int
    rows: list[ComparedRow]
