"""What an artifact's tensors are held against: eager PyTorch, or another artifact."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.formats.onnx.taps import OnnxSource, as_float
from pipeline.formats.taps import Tap
from pipeline.formats.torchscript.taps import ScriptSource
from pipeline.graph.array import Array, Row
from pipeline.graph.signature import Signature
from pipeline.verify.drift.eager import EagerSource
from pipeline.verify.drift.measure import Kept, plain


@dataclass(frozen=True)
class StreamedReference:
    """Eager PyTorch, or TorchScript walked through: values come one after the other."""

    source: EagerSource | ScriptSource
    samples: Sequence[list[Array]]

    def taps(self) -> list[Tap]:
        return self.source.taps(self.samples[0])

    def keep(self, wanted: set[int], folder: Path) -> None:
        kept = Kept(folder)
        for number, inputs in enumerate(self.samples):

            def write(index: int, value: Any, number: int = number) -> None:
                if index in wanted:
                    kept.write(index, number, plain(value))

            self.source.stream(inputs, write)


@dataclass(frozen=True)
class OnnxReference:
    source: OnnxSource
    samples: Sequence[list[Array]]

    def taps(self) -> list[Tap]:
        return self.source.taps()

    def keep(self, wanted: set[int], folder: Path) -> None:
        kept, taps = Kept(folder), self.source.taps()
        few = 8  # sizes are not known before they are computed
        order = sorted(wanted)
        for start in range(0, len(order), few):
            part = order[start : start + few]
            session = self.source.session([taps[index].name for index in part])
            for number, inputs in enumerate(self.samples):
                values = self.source.ask(session, inputs)
                for index, value in zip(part, values, strict=True):
                    array = as_float(value)
                    if array is not None:
                        kept.write(index, number, array)


def one_by_one(rows: Sequence[Row], signature: Signature) -> list[list[Array]]:
    """Samples as batches of one, or of the only size that the model takes."""
    return [signature.batched([row]) for row in rows]
