"""`[verify]`."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.config.base import Count, Fraction, Section


class Tolerances(Section):
    """What `[verify.tolerances.PRECISION]` sets; docs/parity.md has the defaults."""

    max_abs: PositiveFloat | None = None
    """Largest absolute difference, in units of the output."""
    max_rel: PositiveFloat | None = None
    """The same, divided by the largest magnitude of the reference."""
    min_sqnr_db: float | None = None
    """Smallest ratio of the reference's power to the error's, in dB."""
    min_top1: Fraction | None = None
    """classification: share of samples with the same first class as the reference."""
    max_drop: float | None = None
    """How much worse the metric may be than the reference's. Default: `[quantize] max_drop`."""


class VerifyConfig(Section):
    samples: PositiveInt = 512
    """Validation samples, at least; fewer only where the data has fewer."""
    batch_size: PositiveInt = 32
    """Samples that run at once."""
    runtimes: tuple[str, ...] = ()
    """Default: all that this machine has."""
    emulate: tuple[Literal["arm64", "jvm"], ...] = ()
    """What something here stands in for, with rows of its own: `arm64` under QEMU, the core of the
    Android app on a `jvm`. Answers, no timings."""
    tolerances: dict[Literal["fp32", "fp16", "int8", "int4"], Tolerances] = {}
    """By precision; what is not given follows the precision and the reference."""
    outputs: dict[str, dict[Literal["fp32", "fp16", "int8", "int4"], Tolerances]] = {}
    """The same for one output, by its name: `[verify.outputs.scores.int8]`."""
    confidence: Annotated[float, Field(ge=0.8, le=0.999)] = 0.95
    """With which the metric's drop must lie within what is allowed, or beyond it."""
    strict: bool = False
    """An inconclusive verdict ends as a failed one does: exit 1, no bundle."""
    targets: tuple[Literal["onnxruntime-android", "pytorch-android", "cpp-runner"], ...] = ()
    """What must be able to read every artifact of its format; others are looked at, not judged."""
    drift: bool = True
    """Also measure every artifact layer by layer, for the report."""
    threads: Count = 1
    """CPU threads; 0 takes every core."""
