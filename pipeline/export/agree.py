"""Does what was exported answer as the reference does? A quick look; `verify` looks thoroughly."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import last_line
from pipeline.export.probe import Case, Tensors
from pipeline.measure.conditioning import FACTOR, Conditioning

ABSOLUTE = 1e-6  # of the output's unit; below float32's resolution of values near 10
SAME_KERNELS = 1e-5
"""Relative to the largest magnitude: what runs the same kernels in another order may differ by."""
OTHER_KERNELS = 1e-3
"""The same for another runtime: far above rounding, far below a branch gone the wrong way."""


@dataclass(frozen=True)
class Agreement:
    """`max_abs` is over all cases up to the first that differs: `case`, by `difference`. `open` are
    cases that were not judged, with why."""

    max_abs: float
    case: Case | None = None
    difference: str = ""
    open: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return self.case is None

    def __str__(self) -> str:
        if self.case is None:
            return f"the same answers, at most {self.max_abs:.1e} apart"
        if self.case.axis is None:
            return f"on {self.case.name} it {self.difference}"
        baked = f"the size of {self.case.axis!r} is baked in"
        return f"{baked}: with {self.case.name} it {self.difference}"


def compare(
    run: Callable[[Tensors], Sequence[Tensor]],
    cases: Iterable[Case],
    relative: float,
    conditioning: Conditioning,
) -> Agreement:
    """Runs every case until one raises, or differs from the reference by more than that itself
    moves when it is rounded otherwise."""
    worst = 0.0
    unjudged: list[str] = []
    for case in cases:
        try:
            outputs = run(tuple(tensor.clone() for tensor in case.inputs))
        except Exception as error:
            return Agreement(worst, case, f"fails: {last_line(error)}")
        if len(outputs) != len(case.expected):
            difference = f"gives {len(outputs)} outputs instead of {len(case.expected)}"
            return Agreement(worst, case, difference)
        moved: list[tuple[float, float]] = []
        for index, (one, other) in enumerate(zip(outputs, case.expected, strict=True)):
            distance, difference = _compare(one, other, relative)
            move = _move(conditioning, case, index) if distance and difference else 0.0
            if difference and distance <= FACTOR * move:
                moved.append((distance, move))
                continue
            worst = max(worst, distance)
            if difference:
                return Agreement(worst, case, difference)
        if moved:
            distance, move = max(moved)
            unjudged.append(
                f"on {case.name}: it differs by {distance:.2g}, and the model itself moves by "
                f"{move:.2g} when it is rounded otherwise"
            )
    return Agreement(worst, open=tuple(unjudged))


def _move(conditioning: Conditioning, case: Case, index: int) -> float:
    moves = conditioning.moves(case.name, [tensor.numpy() for tensor in case.inputs])
    return 0.0 if moves is None else float(moves[index].max(initial=0.0))


def _compare(output: Tensor, expected: Tensor, relative: float) -> tuple[float, str]:
    """(largest difference, what is wrong or nothing)."""
    if output.shape != expected.shape:
        return 0.0, f"gives the shape {list(output.shape)} instead of {list(expected.shape)}"
    if output.dtype != expected.dtype:
        return 0.0, f"gives {output.dtype} instead of {expected.dtype}"
    if not expected.numel():
        return 0.0, ""
    same = (output == expected) | (output.isnan() & expected.isnan())
    one, other = output.double(), expected.double()
    apart = torch.where(same, torch.zeros_like(one), (one - other).abs())
    if not apart.isfinite().all():
        return float("inf"), "gives values that are not finite"
    finite = other[other.isfinite()].abs()
    scale = finite.max().item() if finite.numel() else 0.0
    distance = apart.max().item()
    limit = ABSOLUTE + relative * scale if expected.dtype.is_floating_point else 0.0
    return distance, f"differs by {distance:.2g}" if distance > limit else ""
