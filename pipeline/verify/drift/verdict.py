"""From what was measured layer by layer to the first bad one, its cause and the remedy."""

import math
import re
from collections.abc import Sequence

from pipeline.formats.taps import Tap
from pipeline.measure.parity import Parity
from pipeline.verify.drift.measure import Layer, result
from pipeline.workspace.artifacts import Precision
from pipeline.workspace.results.drift import LayerRow

# What one layer's own error may be, given the reference's inputs, in dB: for fp32 and fp16 what
# the whole may be. One 8-bit rounding of a range that is used leaves some 30 dB; 15 are left where
# the range is five times too wide or cuts off a sixth of the energy.
OWN_BAR: dict[Precision, float] = {"fp32": 60.0, "fp16": 40.0, "int8": 15.0, "int4": 15.0}
NEXT_TO_NOTHING = 1e-4  # absolute error where the reference is zero throughout
NAMED = 3  # layers that are named where no single one is to blame


def layer_row(
    layer: Layer, reference: Sequence[Tap], nodes: list[str], bars: tuple[float, float]
) -> LayerRow:
    """`bars` are for the error so far and for the layer's own."""
    parity, own = result(layer.sums), result(layer.own)
    assert layer.chosen is not None
    known, tap = reference[layer.chosen], layer.tap
    bad = not _good(parity, layer.not_finite, bars[0])
    guilty = layer.own is not None and not _good(own, len(layer.own.not_finite), bars[1])
    return LayerRow(
        name=tap.layer or tap.name,
        path=tap.layer,
        operator=tap.operator.rpartition("::")[2],
        nodes=nodes,
        tensor=tap.name,
        reference=f"{known.path or 'model'}: {known.operator}",
        shape=list(layer.shape),
        sqnr_db=parity.sqnr_db if parity else None,
        own_db=own.sqnr_db if own else None,
        max_abs=parity.max_abs if parity else None,
        own_max_abs=own.max_abs if own else None,
        scale=parity.scale if parity else None,
        not_finite=layer.not_finite,
        own_not_finite=len(layer.own.not_finite) if layer.own else 0,
        verdict="fail" if bad or guilty else "pass",
        own_verdict="fail" if guilty else "pass",
    )


def _good(parity: Parity | None, not_finite: int, bar: float) -> bool:
    if not_finite:
        return False
    if parity is None or not parity.max_abs:
        return True
    if parity.sqnr_db is None:
        return parity.max_abs <= NEXT_TO_NOTHING
    return parity.sqnr_db >= bar


def first_bad(layers: Sequence[LayerRow]) -> int | None:
    return next((i for i, layer in enumerate(layers) if layer.verdict == "fail"), None)


def culprits(layers: Sequence[LayerRow]) -> list[int]:
    """The layers whose own error is bad, the worst first; where none is, since many small errors
    add up, the worst three up to the first bad one."""
    guilty = [i for i, layer in enumerate(layers) if layer.own_verdict == "fail"]
    bad = first_bad(layers)
    if not guilty and bad is not None:
        guilty = [i for i in range(bad + 1) if layers[i].own_db is not None]
        return sorted(guilty, key=lambda i: _own(layers[i]))[:NAMED]
    return sorted(guilty, key=lambda i: _own(layers[i]))


def _own(layer: LayerRow) -> float:
    if layer.own_not_finite:
        return -math.inf
    return math.inf if layer.own_db is None else float(layer.own_db)


def remedy(layers: Sequence[LayerRow], guilty: Sequence[int], precision: Precision) -> str | None:
    """What to do, in a sentence; None where nothing is bad."""
    bad = first_bad(layers)
    if bad is None:
        return None
    named = [layers[i] for i in guilty] or [layers[bad]]
    worst = named[0]
    if re.match(r"(pre(_\d+)?|preprocessing)(\.|$)", worst.path):
        return (
            f"The preprocessing differs ({worst.operator}, {worst.tensor}): what was "
            "exported "
            "has another [input] mean, std, size or order of channels than the reference. Run "
            "export again, with --force, and leave the file as it is."
        )
    if precision == "fp32":
        return (
            f"At {worst.name} the reference computes {worst.reference.rpartition(': ')[2]}; "
            f"the file has {', '.join(worst.nodes[:6]) or worst.operator} instead. Try "
            'another [export] exporter or capture ("script"), or write that line of the model '
            "otherwise."
        )
    names = list(dict.fromkeys(layer.path or layer.tensor for layer in named))[:NAMED]
    quoted = ", ".join(f'"{name}"' for name in names)
    exclude = f"[quantize] exclude = [{quoted}]"
    if precision == "fp16" and worst.own_not_finite:
        return f"Values beyond 65504 do not fit fp16: {exclude} keeps them float32."
    return f"{exclude} keeps what loses most float."
