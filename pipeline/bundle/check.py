"""What a bundle's golden samples say of a runtime: the rules of docs/bundle-format.md.

`tests/golden/checks.json` has answers and what these rules make of them, for readers in other
languages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.bundle.manifest import Artifact, Output, Tolerances
from pipeline.bundle.reader import Bundle
from pipeline.bundle.values import Verdict
from pipeline.measure.parity import Agreement, Parity, ParitySums, decision

Array = NDArray[Any]


@dataclass(frozen=True)
class Checked:
    """One output over all golden samples. Figures are None where they have no meaning; `top1` is
    the share of decisions that are the reference's, near ties among them."""

    max_abs: float | None
    max_rel: float | None
    sqnr_db: float | None
    top1: float | None
    reasons: tuple[str, ...]


def check(
    bundle: Bundle, artifact: Artifact, answers: Sequence[Sequence[Array]]
) -> tuple[Verdict, tuple[Checked, ...]]:
    """Judges a runtime's answers to the golden samples: for each sample one array an output.

    `inconclusive` where the bundle has no golden samples, or no tolerances for the artifact.
    Raises Refused for a golden file that is not what the manifest says.
    """
    manifest = bundle.manifest
    if not manifest.golden or not artifact.tolerances:
        return "inconclusive", ()
    checked = []
    for index, output in enumerate(manifest.outputs):
        expected = [bundle.array(sample.outputs[index]) for sample in manifest.golden]
        given = [sample[index] for sample in answers]
        checked.append(check_output(output, artifact.tolerances[index], expected, given))
    passed = not any(output.reasons for output in checked)
    return "pass" if passed else "fail", tuple(checked)


def check_output(
    output: Output, asked: Tolerances, expected: Sequence[Array], answers: Sequence[Array]
) -> Checked:
    """One output: `expected` and `answers` have an array for each golden sample."""
    decide = decision(output.dtype, output.kind == "classification", output.threshold)
    agreement = Agreement(decide, asked.tie or 0.0) if decide else None
    sums = ParitySums()
    for sample, (ref, x) in enumerate(zip(expected, answers, strict=True)):
        wrong = _misfit(ref, x)
        if wrong:
            return Checked(None, None, None, None, (f"{output.name}, sample {sample}: {wrong}",))
        sums.update(ref[None], x[None], [sample])
        if agreement is not None:
            agreement.update(ref[None], x[None], [sample])
    found = sums.result()
    return Checked(
        max_abs=found.max_abs,
        max_rel=found.max_rel,
        sqnr_db=found.sqnr_db,
        top1=agreement.judged if agreement else None,
        reasons=tuple(f"{output.name}: {reason}" for reason in _reasons(found, agreement, asked)),
    )


def _misfit(ref: Array, x: Array) -> str | None:
    if (ref.dtype, ref.shape) != (x.dtype, x.shape):
        return f"{x.dtype}{list(x.shape)} instead of {ref.dtype}{list(ref.shape)}"
    if not (np.isfinite(ref).all() and np.isfinite(x).all()):
        return "NaN or infinity"
    return None


def _reasons(found: Parity, agreement: Agreement | None, asked: Tolerances) -> list[str]:
    reasons = []
    if _above(found.max_abs, asked.max_abs):
        reasons.append(f"largest error {found.max_abs:.3g}, {asked.max_abs:.3g} allowed")
    if _above(found.max_rel, asked.max_rel):
        reasons.append(f"largest relative error {found.max_rel:.3g}, {asked.max_rel:.3g} allowed")
    if _above(asked.min_sqnr_db, found.sqnr_db):
        reasons.append(f"SQNR {found.sqnr_db:.1f} dB, at least {asked.min_sqnr_db:.3g} asked")
    if agreement is not None and _above(asked.min_top1, agreement.judged):
        differ = agreement.decisions - agreement.same - agreement.near_ties
        # A share below 1 says nothing of a few samples: one may always differ.
        if differ > 1 or asked.min_top1 == 1:
            reasons.append(f"{differ} of {agreement.decisions} decisions are not the reference's")
    return reasons


def _above(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit
