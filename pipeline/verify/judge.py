"""From what was compared to a row of `verdict.json`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline.measure.accuracy_budget import AccuracyBudget
from pipeline.measure.conditioning import FACTOR
from pipeline.measure.parity import DISAGREEMENTS
from pipeline.verify import reasons
from pipeline.verify.compare import Comparison, EdgeComparison, OutputComparison
from pipeline.verify.context import RowContext
from pipeline.verify.scores import drop_test
from pipeline.verify.tolerances import edge_bound
from pipeline.verify.unstable import FEW_UNSTABLE, excused
from pipeline.workspace.artifacts import Artifact
from pipeline.workspace.results.verdict import (
    FIGURES,
    Bounds,
    DropTest,
    EdgeInput,
    EdgeRow,
    OutputRow,
    VerdictRow,
    WorstSample,
)


def judge(
    context: RowContext, artifact: Artifact, runtime: str, comparison: Comparison
) -> VerdictRow:
    """One artifact in one runtime."""
    limits = context.bounds(artifact.precision)
    outputs = _outputs(context, comparison, limits)
    edges = [_edge(context, artifact, edge, comparison) for edge in comparison.edges]
    drop = context.drop(comparison.metric)
    test = _drop_test(context, comparison, limits[0].max_drop)
    wrong = [comparison.wrong] if comparison.wrong else []
    wrong += [reason for output in outputs for reason in output.reasons]
    if drop is not None and not _kept_metric(drop, limits[0].max_drop, test):
        wrong.append(reasons.lost_metric(context, comparison.metric, drop, limits[0], test))
    wrong += reasons.edges(edges)
    unsettled = [reasons.unsettled(context, test)] if test and _is_open(test) else []
    most = FEW_UNSTABLE * len(context.samples)
    unsettled += [f"{o.name} is {o.not_judged}" for o in outputs if len(o.unstable) > most]
    decisive = _decisive(outputs)
    return VerdictRow(
        artifact=artifact.id,
        format=artifact.format,
        precision=artifact.precision,
        recipe=artifact.recipe,
        made_for=artifact.made_for,
        runtime=runtime,
        verdict="fail" if wrong else "inconclusive" if unsettled else "pass",
        reasons=wrong,
        open=unsettled,
        **_figures(decisive),
        metric=comparison.metric,
        drop=drop,
        test=test,
        tolerances=decisive.tolerances if decisive else limits[0],
        outputs=outputs,
        edges=edges,
    )


def _outputs(
    context: RowContext, comparison: Comparison, limits: Sequence[Bounds]
) -> list[OutputRow]:
    """None where the samples could not be compared."""
    return [
        _output(context, index, output, limit)
        for index, (output, limit) in enumerate(zip(comparison.outputs, limits, strict=False))
    ]


def _output(context: RowContext, index: int, output: OutputComparison, limit: Bounds) -> OutputRow:
    name, why = context.signature.outputs[index].name, reasons.output(output, limit)
    without = excused(context, index, output, limit) if why else None
    if without is not None:
        output, why = without.output, reasons.output(without.output, limit)
    parity, agreement = asdict(output.parity), output.agreement
    parity["worst"] = [WorstSample(sample=s, max_abs=error) for s, error in output.parity.worst]
    return OutputRow(
        name=name,
        **parity,
        top1=agreement.top1 if agreement else None,
        near_ties=agreement.near_ties if agreement else None,
        disagreements=agreement.samples[:DISAGREEMENTS] if agreement else [],
        not_finite=len(output.not_finite),
        reference_not_finite=len(output.ref_not_finite),
        tolerances=limit,
        reasons=[f"{name}: {reason}" for reason in why],
        unstable=without.samples if without else [],
        not_judged=str(without) if without else None,
    )


def _drop_test(context: RowContext, comparison: Comparison, limit: float | None) -> DropTest | None:
    """Where a drop is judged."""
    targets = context.samples.targets
    if context.metric is None or targets is None or limit is None or comparison.metric is None:
        return None
    reference, confidence = context.reference.scored, context.config.verify.confidence
    return drop_test(context.metric, targets, reference, comparison.scored, limit, confidence)


def _kept_metric(drop: float, limit: float | None, test: DropTest | None) -> bool:
    """Without a test, for want of memory, the drop itself is compared."""
    return test.verdict != "fail" if test else AccuracyBudget(limit).holds(drop)


def _is_open(test: DropTest) -> bool:
    return test.verdict == "inconclusive"


def _edge(
    context: RowContext, artifact: Artifact, edge: EdgeComparison, comparison: Comparison
) -> EdgeRow:
    row = EdgeRow(
        case=edge.edge.case,
        kind=edge.edge.kind,
        inputs=_inputs(context, edge),
        max_abs=max((p.max_abs or 0.0 for p in edge.parity), default=None),
        verdict="skipped",
        reason=reasons.skipped_edge(artifact.precision, edge),
    )
    if row.reason:
        return row
    if edge.wrong:
        return row.model_copy(update={"verdict": "fail", "reason": edge.wrong})
    beyond = _beyond(context, artifact, edge, comparison)
    moved = [_moved(context, edge, index) for index, _ in beyond]
    for (index, allowed), move in zip(beyond, moved, strict=True):
        name, error = context.signature.outputs[index].name, edge.parity[index].max_abs or 0.0
        if move is None or error > FACTOR * move:
            wrong = f"{name}: largest error {error:.3g}, {allowed:.3g} allowed"
            return row.model_copy(update={"verdict": "fail", "reason": wrong})
        open_ = f"not judged: {name} differs by {error:.2g}, the model itself moves by {move:.2g}"
        row = row.model_copy(update={"reason": open_})
    return row if row.reason else row.model_copy(update={"verdict": "pass"})


def _moved(context: RowContext, edge: EdgeComparison, index: int) -> float | None:
    """How far the model's own answer moves when it is rounded otherwise."""
    moves = context.conditioning.moves(edge.edge.case, edge.edge.inputs)
    return None if moves is None else float(moves[index].max(initial=0.0))


def _inputs(context: RowContext, edge: EdgeComparison) -> list[EdgeInput]:
    return [
        EdgeInput(
            name=spec.name,
            dtype=array.dtype.name,
            shape=list(array.shape),
            low=float(array.min()) if array.size else None,
            high=float(array.max()) if array.size else None,
        )
        for spec, array in zip(context.signature.inputs, edge.edge.inputs, strict=True)
    ]


def _beyond(
    context: RowContext, artifact: Artifact, edge: EdgeComparison, comparison: Comparison
) -> list[tuple[int, float]]:
    """The outputs whose error is larger than the case allows, and what it allows."""
    found = []
    for index, parity in enumerate(edge.parity):
        assert parity.max_abs is not None
        assert parity.scale is not None
        known = comparison.outputs[index].parity if comparison.outputs else None
        largest = known.max_abs if known and edge.edge.real else None
        case, scale = context.judged(index, parity.scale), context.reference.scales[index]
        allowed = edge_bound(context.config, artifact.precision, case, scale, largest)
        if allowed is not None and parity.max_abs > allowed:
            found.append((index, allowed))
    return found


def _figures(decisive: OutputRow | None) -> dict[str, Any]:
    return {name: getattr(decisive, name, None) for name in FIGURES}


def _decisive(outputs: Sequence[OutputRow]) -> OutputRow | None:
    """The output whose numbers stand for the row: one that fails, else the least exact."""
    return max(outputs, key=lambda one: (bool(one.reasons), one.max_rel or 0.0), default=None)
