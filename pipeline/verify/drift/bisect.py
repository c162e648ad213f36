"""Which layers make the difference between a good and a bad artifact: mended, it answers well."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.formats.onnx.taps import OnnxSource
from pipeline.graph.array import Array
from pipeline.measure.parity import ParitySums
from pipeline.verify.drift.measure import Kept, Layer, like, plain, result
from pipeline.workspace.results.drift import Mended

Run = Callable[[list[Array], int], Array]  # a sample's inputs and number → the last tensor

MOST = 16  # layers that are mended together
ENOUGH = 20.0  # dB that the output gains: a hundredth of the error's energy is left


def mend(
    source: Any,
    layers: Sequence[Layer],
    guilty: Sequence[int],
    samples: Sequence[list[Array]],
    kept: Kept,
) -> list[Mended]:
    """Hands the bad artifact the good one's tensors for more and more layers, the worst first,
    until its last tensor gains 20 dB. The first entry mends none."""
    order = list(guilty) + [i for i in _worst_first(layers) if i not in guilty]
    order = [index for index in order if not _exact(layers[index])]
    order = [index for index in order if index != len(layers) - 1] or order
    before = _last(source, layers, [], samples, kept)
    steps = [Mended(layers=[], sqnr_db=before)]
    for count in range(1, min(MOST, len(order)) + 1):
        chosen = sorted(order[:count])
        now = _last(source, layers, chosen, samples, kept)
        steps.append(Mended(layers=chosen, sqnr_db=now))
        if before is None or now is None or now - before >= ENOUGH:
            break
    return steps


def _worst_first(layers: Sequence[Layer]) -> list[int]:
    def own(index: int) -> float:
        parity = result(layers[index].own)
        return float("inf") if parity is None or parity.sqnr_db is None else parity.sqnr_db

    return sorted(range(len(layers)), key=own)


def _exact(layer: Layer) -> bool:
    """Neither of the layer's own making nor of the ones before it is there anything to mend."""
    parity = result(layer.sums)
    return parity is not None and not parity.max_abs and not layer.not_finite


def _last(
    source: Any,
    layers: Sequence[Layer],
    chosen: Sequence[int],
    samples: Sequence[list[Array]],
    kept: Kept,
) -> float | None:
    """SQNR of the last matched tensor, with the chosen layers mended; None if it is exact."""
    last, sums = layers[-1], ParitySums()
    onnx = isinstance(source, OnnxSource)
    run = _onnx(source, layers, chosen, kept) if onnx else _script(source, layers, chosen, kept)
    for number, inputs in enumerate(samples):
        values = run(inputs, number)
        assert last.chosen is not None
        reference = kept.load(last.chosen, number)
        sums.update(reference[None], values[None].astype(np.float32), [number])
    return sums.result().sqnr_db


def _onnx(source: OnnxSource, layers: Sequence[Layer], chosen: Sequence[int], kept: Kept) -> Run:
    mended = {layers[index].tap.name: layers[index] for index in chosen}
    last = layers[-1].tap.name
    session = source.mended({name: layer.dtype for name, layer in mended.items()}, last)

    def run(inputs: list[Array], number: int) -> Array:
        handed = {
            source.tensors[name]: kept.load(layer.chosen, number).astype(layer.dtype)  # type: ignore[arg-type]
            for name, layer in mended.items()
        }
        value: Array = source.ask(session, inputs, handed)[0]
        return value

    return run


def _script(source: Any, layers: Sequence[Layer], chosen: Sequence[int], kept: Kept) -> Run:
    mended = {layers[index].tap.name: layers[index] for index in chosen}

    def run(inputs: list[Array], number: int) -> Array:
        names = [tap.name for tap in source.taps(inputs)]
        last: list[Any] = []

        def change(index: int, value: Any) -> Any:
            name = names[index]
            if name == layers[-1].tap.name:
                last.append(value)
            layer = mended.get(name)
            if layer is None or layer.chosen is None:
                return None
            return like(value, kept.load(layer.chosen, number))

        source.stream(inputs, change)
        return plain(last[-1])

    return run
