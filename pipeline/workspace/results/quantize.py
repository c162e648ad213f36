"""`quantize.json`, and what `pipeline quantize --explain` finds."""

from typing import Literal

from pydantic import JsonValue

from pipeline.config.export import Format
from pipeline.workspace.artifacts import Precision
from pipeline.workspace.results.base import Result
from pipeline.workspace.results.ratio import Ratio

QUANTIZE = "quantize.json"


class FileBytes(Result):
    before: int
    after: int


class WeightBytes(Result):
    """By element type."""

    before: dict[str, int]
    after: dict[str, int]


class LayerCount(Result):
    """So many layers of a kind are quantized, of so many that there are."""

    quantized: int
    of: int


class Quantized(Result):
    """What an artifact holds, beside the export that it was made from. `ratio` is bytes of all
    weights before, for one byte after; `details` are the recipe's own."""

    recipe: str
    format: Format
    file_bytes: FileBytes
    operators: dict[str, int]
    details: dict[str, JsonValue]
    layers: dict[str, LayerCount]
    weight_bytes: WeightBytes
    ratio: float


class SkippedRecipe(Result):
    """A recipe that was asked for without a format, and one format where it cannot be."""

    recipe: str
    format: Format
    reason: str


class SchemeRow(Result):
    """A way of static quantization; docs/quantization.md has the words."""

    activations: Literal["uint8", "int8"]
    per_channel: bool
    reduce_range: bool
    ranges: str
    bias: bool
    padded: bool


class CandidateRow(Result):
    """One file that could be made. `kept_float` names layers that stay float."""

    format: Format
    recipe: str
    made_for: str
    scheme: SchemeRow | None
    transform: str
    observer: str
    kept_float: list[str]
    precision: Precision
    named: bool


class TrialAccuracy(Result):
    """The metric on so many samples, and SQNR in dB from fp32's answers; None where equal."""

    metric: float | None
    sqnr_db: float | None
    samples: int


class TrialSpeed(Result):
    """Medians in milliseconds at batch 1, and the ratio of candidate to fp32."""

    ms: float
    fp32_ms: float
    ratio: Ratio


class TrialRow(Result):
    """What became of a candidate. `failed` says why there are no figures. `fused` counts layers
    that run on integers and all, by kind, `share` is their part; `drop` of the metric is positive
    if worse; `rounds` are those of its measurement."""

    name: str
    candidate: CandidateRow
    bytes: int
    made_for: str
    details: dict[str, JsonValue]
    failed: str | None
    accuracy: TrialAccuracy | None
    drop: float | None
    speed: TrialSpeed | None
    fused: dict[str, list[int]] | None
    share: float | None
    rounds: int


class Baseline(Result):
    """fp32: its metric on all validation samples, the bytes of its file."""

    metric: float | None
    bytes: int


class LayerSensitivity(Result):
    """`layer` is what `[quantize] exclude` takes; `sqnr_db` of the model's output with this layer
    alone in int8, None where the answers are equal."""

    layer: str
    module: str
    sqnr_db: float | None


class SearchRow(Result):
    """A search, or one named recipe (`named`) against fp32. `held_back` says why float ships, for
    the bundle; `timed_out_at` what was not tried any more. `exclusions` are the trials that kept
    layers float, the most sensitive first, by `sensitivity`."""

    format: Format
    target: str
    named: str | None
    max_drop: float | None
    objective: str
    fp32: Baseline
    samples: int
    trials: list[TrialRow]
    shipped: str
    why: str
    held_back: str | None
    timed_out_at: str | None = None
    seconds: float | None = None
    sensitivity: list[LayerSensitivity] | None = None
    exclusions: list[TrialRow] | None = None


class Point(Result):
    """One point of accuracy × latency × size: an artifact, or a candidate of a search.

    `score` is the task's metric on the validation samples, `latency_ms` the p50 at batch 1 in the
    fastest runtime of this machine, `bytes` those of the file. `chosen` is what was taken: of the
    artifacts the one that a program takes by default.
    """

    name: str
    group: Literal["artifact", "candidate"]
    score: float | None
    latency_ms: float
    bytes: int
    passed: bool
    chosen: bool


class Quantization(Result):
    """By artifact what it holds; what was left out; each search; its candidates as points."""

    artifacts: dict[str, Quantized]
    skipped: list[SkippedRecipe]
    searches: list[SearchRow]
    candidates: list[Point]


class Without(Result):
    """The output's SQNR in dB with this layer float, and all before it in the list."""

    layer: str
    sqnr_db: float | None


class ExplainedFormat(Result):
    """Which layers of a format suffer from int8, the most sensitive first, on so many samples;
    `all_sqnr_db` is that of the output with every layer in int8."""

    format: Format
    candidate: str
    samples: int
    all_sqnr_db: float | None
    sensitivity: list[LayerSensitivity]
    without: list[Without]
