"""Every tensor of an artifact against the reference's: as the artifact runs, and layer by layer.

Streamed: the reference's tensors are written to a scratch folder as they are computed, and read
back one by one. Memory is that of one inference and of the few tensors that are looked at.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.formats.taps import Tap
from pipeline.graph.array import Array
from pipeline.measure.parity import Parity, ParitySums
from pipeline.system.progress import Bar

PART = 32 * 2**20  # bytes of tensors that are looked at together
MOST = 32  # tensors that are looked at together


class Reference(Protocol):
    """Where the reference's tensors come from."""

    def taps(self) -> list[Tap]: ...

    def keep(self, wanted: set[int], folder: Path) -> None:
        """Writes `folder/TAP.SAMPLE.npy`, float32, for each sample."""


@dataclass
class Layer:
    """One tap of the artifact: what it is compared with, and how far it is from that.

    `own` is with the reference's tensors handed in, None where that was not measured.
    """

    tap: Tap
    candidates: list[int]
    sums: ParitySums = field(default_factory=ParitySums)
    own: ParitySums | None = None
    chosen: int | None = None
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    not_finite: int = 0

    def compare(self, kept: "Kept", sample: int, value: Array) -> None:
        """As the artifact runs."""
        reference = self.reference(kept, sample, value)
        if reference is not None:
            wrong = ~np.isfinite(value) & np.isfinite(reference)
            self.not_finite += int(np.count_nonzero(wrong))
            self.shape = value.shape
            self.sums.update(reference[None], value[None], [sample])

    def compare_own(self, kept: "Kept", sample: int, value: Array) -> None:
        reference = self.reference(kept, sample, value)
        if reference is not None:
            self.own = self.own or ParitySums()
            self.own.update(reference[None], value[None], [sample])

    def reference(self, kept: "Kept", sample: int, value: Array) -> Array | None:
        """The reference's tensor; the first time the nearest candidate of the same shape."""
        if self.chosen is None:
            fitting = [i for i in self.candidates if kept.shape(i, sample) == value.shape]
            if not fitting:
                return None
            self.chosen = (
                fitting[0]
                if len(fitting) == 1
                else min(fitting, key=lambda i: _distance(kept.load(i, sample), value))
            )
        tensor = kept.load(self.chosen, sample)
        return tensor if tensor.shape == value.shape else None


@dataclass(frozen=True)
class Kept:
    """The reference's tensors on the disk."""

    folder: Path

    def load(self, tap: int, sample: int) -> Array:
        tensor: Array = np.load(self.folder / f"{tap}.{sample}.npy")
        return tensor

    def shape(self, tap: int, sample: int) -> tuple[int, ...] | None:
        path = self.folder / f"{tap}.{sample}.npy"
        return np.load(path, mmap_mode="r").shape if path.is_file() else None

    def write(self, tap: int, sample: int, value: Array) -> None:
        np.save(self.folder / f"{tap}.{sample}.npy", value)


def measure_script(
    source: Any, layers: Mapping[int, Layer], samples: Sequence[list[Array]], kept: Kept, bar: Bar
) -> None:
    """TorchScript: two walks through the code for each sample. `layers` by the index of a tap.

    The walk with the reference's tensors comes first: on them a layer is recognised best.
    """
    for number, inputs in enumerate(samples):

        def own(index: int, value: Any, number: int = number) -> Any:
            layer = layers.get(index)
            if layer is None:
                return None
            array = plain(value)
            layer.compare_own(kept, number, array)
            reference = layer.reference(kept, number, array)
            return None if reference is None else like(value, reference)

        def running(index: int, value: Any, number: int = number) -> None:
            if index in layers:
                layers[index].compare(kept, number, plain(value))

        source.stream(inputs, own)
        bar.advance(1)
        source.stream(inputs, running)
        bar.advance(1)


def measure_onnx(
    source: Any, layers: Mapping[int, Layer], samples: Sequence[list[Array]], kept: Kept, bar: Bar
) -> None:
    """ONNX: for each handful of tensors a session that gives them, then one that makes each from
    the reference's."""
    for part in parts(list(layers.values())):
        session = source.session([layer.tap.name for layer in part])
        for number, inputs in enumerate(samples):
            for layer, value in _answers(session, source, inputs, part, {}):
                layer.dtype = value.dtype.name
                if value.dtype.kind == "f":
                    layer.compare(kept, number, value.astype(np.float32))
        del session
        bar.advance(1)
    matched = {layer.tap.name: layer for layer in layers.values() if layer.chosen is not None}
    dtypes = {name: layer.dtype for name, layer in matched.items()}
    for part in parts(list(matched.values())):
        session, asked = source.cut([layer.tap.name for layer in part], dtypes)
        for number, inputs in enumerate(samples):
            handed = {
                source.tensors[name]: kept.load(matched[name].chosen, number).astype(dtypes[name])  # type: ignore[arg-type]
                for name in asked
            }
            for layer, value in _answers(session, source, inputs, part, handed):
                layer.compare_own(kept, number, value.astype(np.float32))
        del session
        bar.advance(1)


def parts(layers: Sequence[Layer]) -> Iterator[list[Layer]]:
    """Neighbours whose tensors together are small."""
    part: list[Layer] = []
    size = 0
    for layer in layers:
        if part and (size + layer.tap.size > PART or len(part) == MOST):
            yield part
            part, size = [], 0
        part.append(layer)
        size += layer.tap.size
    if part:
        yield part


def _answers(
    session: Any, source: Any, inputs: list[Array], part: Sequence[Layer], handed: dict[str, Array]
) -> Iterator[tuple[Layer, Array]]:
    return zip(part, source.ask(session, inputs, handed), strict=True)


def _distance(reference: Array, value: Array) -> float:
    """Relative energy of the error, infinite for what cannot be compared."""
    energy = float(np.vdot(reference, reference))
    noise = float(np.square(reference.astype(np.float64) - value).sum())
    return noise / energy if energy and math.isfinite(noise) else math.inf


def plain(value: Any) -> Array:
    """Any floating-point tensor of torch's as float32."""
    value = value.dequantize() if value.is_quantized else value
    array: Array = value.float().resolve_neg().numpy()
    return array


def like(value: Any, reference: Array) -> Any:
    """A reference's tensor as an artifact's: of its element type, quantized to its own range.

    Not with the artifact's scale, which may be what is broken, and would then count against the
    next layer too.
    """
    import torch

    tensor = torch.from_numpy(reference)
    if not value.is_quantized:
        return tensor.to(value.dtype)
    low, high = min(0.0, float(tensor.min())), max(0.0, float(tensor.max()))
    scale = max((high - low) / 255, 1e-12)
    zero = round(-low / scale) - (128 if value.dtype == torch.qint8 else 0)
    return torch.quantize_per_tensor(tensor, scale, zero, value.dtype)


def result(sums: ParitySums | None) -> Parity | None:
    return sums.result() if sums is not None and sums.samples else None
