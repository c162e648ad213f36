"""One way of static quantization, and which one suits which CPU."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pipeline.quantize.histogram import Method
from pipeline.quantize.recipes import needs_reduced_range
from pipeline.system import machine

Kind = Literal["uint8", "int8"]


@dataclass(frozen=True)
class StaticScheme:
    """One way of static quantization.

    `activations` are uint8 with a zero point, or int8 around zero. `reduce_range` keeps both to 7
    bits. `ranges` names how much of the calibration's values the levels span. `bias` moves each
    bias by the mean error that rounding the weights makes. `padded` gives convolutions on pictures
    a fourth channel, where that saves time; the answers stay the same.
    """

    activations: Kind = "uint8"
    per_channel: bool = True
    reduce_range: bool = False
    ranges: Method = "minmax"
    bias: bool = False
    padded: bool = False

    @property
    def largest_weight(self) -> int:
        return 64 if self.reduce_range else 127

    def to_json(self) -> dict[str, Any]:
        weights = "int8 per channel" if self.per_channel else "int8 per tensor"
        said = {**asdict(self), "weights": weights, "calibration": self.ranges}
        return {k: v for k, v in said.items() if k not in ("per_channel", "ranges")}


def default_scheme(cpu: str) -> StaticScheme:
    """What suits a kind of CPU."""
    if cpu == "arm64":
        return StaticScheme("int8")
    # Of an x86 elsewhere nobody here knows whether it has VNNI; without it full range saturates.
    reduced = needs_reduced_range() or machine.made_for() != "x86_64"
    return StaticScheme("uint8", reduce_range=reduced, padded=True)
