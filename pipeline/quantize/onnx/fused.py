"""How much of a quantized graph the runtime really computes on integers: read from what it runs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.formats.onnx.as_run import LayerAsRun, layers_as_run


@dataclass(frozen=True)
class Fused:
    """(on integers, all) by kind of layer. A layer between quantized tensors that was not fused is
    computed in float, with conversions around it: slower than float alone."""

    convolutions: tuple[int, int]
    linears: tuple[int, int]

    @property
    def share(self) -> float | None:
        """Of the convolutions, or of the linear layers where there is none."""
        done, there = self.convolutions if self.convolutions[1] else self.linears
        return done / there if there else None

    def to_json(self) -> dict[str, Any]:
        return {kind: list(counts) for kind, counts in asdict(self).items()}


def fused(path: Path) -> Fused:
    """Of layers with weights. Raises DamagedError for a file that ONNX Runtime does not take."""
    layers = [layer for layer in layers_as_run(path) if layer.stored]
    return Fused(
        _counted([layer for layer in layers if layer.kind == "convolution"]),
        _counted([layer for layer in layers if layer.kind == "linear"]),
    )


def _counted(layers: Sequence[LayerAsRun]) -> tuple[int, int]:
    return sum(layer.computed_in == "int8" for layer in layers), len(layers)
