"""Why a row fails or is inconclusive, in plain sentences."""

from collections.abc import Sequence

from pipeline.measure.parity import Agreement, Parity
from pipeline.verify.compare import EdgeComparison, OutputComparison
from pipeline.verify.context import RowContext
from pipeline.workspace.artifacts import Precision
from pipeline.workspace.results.verdict import Bounds, DropTest, EdgeRow

LARGEST_HALF = 65504.0  # of float16's finite numbers, IEEE 754


def output(compared: OutputComparison, limit: Bounds) -> list[str]:
    """Of one output; none where it is within its bounds."""
    return [
        *_finite(compared),
        *_parity(compared.parity, limit),
        *_agreement(compared.agreement, limit),
    ]


def _finite(compared: OutputComparison) -> list[str]:
    sentences = []
    if compared.ref_not_finite:
        sentences.append(
            f"the reference itself gives NaN or infinity for {_samples(compared.ref_not_finite)}: "
            "the model is at fault, not the artifact"
        )
    own = sorted(set(compared.not_finite) - set(compared.ref_not_finite))
    if own:
        sentences.append(f"NaN or infinity for {_samples(own)}, where the reference is finite")
    return sentences


def _samples(indices: list[int]) -> str:
    if len(indices) == 1:
        return f"sample {indices[0]}"
    return f"{len(indices)} samples, the first is {indices[0]}"


def _parity(parity: Parity, limit: Bounds) -> list[str]:
    sentences = []
    at = f" (sample {parity.worst[0][0]})" if parity.worst else ""
    if _over(parity.max_abs, limit.max_abs):
        sentences.append(f"largest error {parity.max_abs:.3g}{at}, {limit.max_abs:.3g} allowed")
    if _over(parity.max_rel, limit.max_rel):
        sentences.append(
            f"largest error is {parity.max_rel:.3g} of the largest answer {parity.scale:.3g}{at}, "
            f"{limit.max_rel:g} allowed"
        )
    if _over(limit.min_sqnr_db, parity.sqnr_db):
        sentences.append(f"SQNR {parity.sqnr_db:.1f} dB, at least {limit.min_sqnr_db:g} required")
    return sentences


def _agreement(agreement: Agreement | None, limit: Bounds) -> list[str]:
    judged = agreement.judged if agreement else None
    if agreement is None or judged is None or not _over(limit.min_top1, judged):
        return []
    differ = agreement.decisions - agreement.same - agreement.near_ties
    return [
        f"{differ} of {agreement.decisions} decisions differ from the reference's, near ties "
        f"aside: {judged:.2%} agree, {limit.min_top1:.2%} required"
    ]


def _over(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit


def lost_metric(
    context: RowContext, metric: float | None, drop: float, limit: Bounds, test: DropTest | None
) -> str:
    assert context.metric is not None
    at_least = f" (at least {test.low:.3g}, with {_confidence(context)})" if test else ""
    return (
        f"{context.metric.name} {metric:.4g} where the reference has "
        f"{context.reference.metric:.4g}: worse by {drop:.3g}{at_least}, "
        f"{limit.max_drop:.3g} allowed"
    )


def unsettled(context: RowContext, test: DropTest) -> str:
    """Why a row is inconclusive, and what would settle it."""
    assert context.metric is not None
    head = (
        f"{context.metric.name} {_change(test.drop)} on {test.samples} samples; with "
        f"{_confidence(context)} the true drop is between {test.low:.3g} and {test.high:.3g}, and "
        f"{test.limit:.3g} is allowed: "
    )
    if test.more_samples is None:
        return head + "the drop lies at what is allowed, and no number of samples would settle it"
    more = f"{test.more_samples} more samples like these would settle it"
    if test.samples < context.config.verify.samples:
        return f"{head}{more}, and the validation set has no more"
    return f"{head}{more} ([verify] samples = {test.samples + test.more_samples})"


def _change(drop: float) -> str:
    if not drop:
        return "is the reference's"
    return f"is {'worse' if drop > 0 else 'better'} by {abs(drop):.3g}"


def _confidence(context: RowContext) -> str:
    return f"{100 * context.config.verify.confidence:g} % confidence"


def skipped_edge(precision: Precision, edge: EdgeComparison) -> str | None:
    """Why an edge case is not judged; None where it is."""
    if edge.refused:
        return f"not asked, the model itself refuses it: {edge.refused}"
    if edge.edge.outside:
        return f"not judged, no sample is like it: {edge.edge.outside}"
    if precision == "fp16" and not edge.edge.real and edge.scale > LARGEST_HALF:
        return f"not judged, the model itself answers {edge.scale:.2g} and float16 ends at 65504"
    return None


def edges(rows: Sequence[EdgeRow]) -> list[str]:
    """One sentence for each different trouble."""
    cases: dict[str, list[str]] = {}
    for row in rows:
        if row.verdict == "fail" and row.reason:
            cases.setdefault(row.reason, []).append(row.case)
    return [f"{', '.join(names)}: {reason}" for reason, names in cases.items()]
