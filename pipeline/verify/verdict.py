"""From what was found to a verdict: rows of `verdict.json`, with reasons in plain sentences."""

from dataclasses import asdict, dataclass
from typing import Any

from pipeline.config import Config
from pipeline.graph.signature import Signature
from pipeline.measure.accuracy_budget import AccuracyBudget
from pipeline.measure.parity import DISAGREEMENTS, Agreement, Parity, decision
from pipeline.measure.task_metric import TaskMetric, threshold
from pipeline.project.samples import Samples
from pipeline.verify.compare import EdgeFound, Found, Gathers, OutputFound
from pipeline.verify.paired import Paired
from pipeline.verify.reference import Reference
from pipeline.verify.samples_kept import SamplesKept
from pipeline.verify.scores import Scored, Scores, drop_test
from pipeline.verify.tolerances import Bounds, Judged, bounds, edge_bound
from pipeline.workspace.artifacts import Artifact, Precision

LARGEST_HALF = 65504.0  # of float16's finite numbers, IEEE 754


@dataclass(frozen=True)
class RowContext:
    """What every row is judged with."""

    config: Config
    signature: Signature
    reference: Reference
    metric: TaskMetric | None
    samples: Samples

    @property
    def synthetic(self) -> bool:
        return self.samples.synthetic

    def judged(self, index: int, scale: float | None = None) -> Judged:
        """What the bounds of output `index` depend on, at the reference's scale by default."""
        spec = self.signature.outputs[index]
        known = self.metric is not None and self.reference.metric is not None and index == 0
        return Judged(
            scale=self.reference.scales[index] if scale is None else scale,
            discrete=spec.dtype == "bool" or "int" in spec.dtype,
            classes=index == 0 and self.config.output.kind == "classification",
            metric=(self.metric.goal, self.reference.metric) if known else None,  # type: ignore[union-attr,arg-type]
            synthetic=self.synthetic,
            name=spec.name,
        )

    def gathers(self, precision: Precision) -> Gathers:
        """What adds up over the batches, fresh for a row."""
        judged, spec = self.judged(0), self.signature.outputs[0]
        limit = bounds(self.config, precision, judged).max_drop
        score = threshold(self.config, spec) if judged.classes else None
        return Gathers(
            self._agreements(),
            Scores(self.metric, self.samples, paired=limit is not None),
            SamplesKept(len(self.samples), judged.scale, judged.classes, score),
        )

    def _agreements(self) -> list[Agreement | None]:
        found: list[Agreement | None] = []
        for index, spec in enumerate(self.signature.outputs):
            judged = self.judged(index)
            score = threshold(self.config, spec) if judged.classes else None
            decide = decision(spec.dtype, judged.classes, score)
            tie = bounds(self.config, "fp32", judged).tie
            found.append(Agreement(decide, tie or 0.0) if decide else None)
        return found


def row(context: RowContext, artifact: Artifact, runtime: str, found: Found) -> dict[str, Any]:
    """One artifact in one runtime, as `verdict.json` has it."""
    specs = context.signature.outputs
    limits = [
        bounds(context.config, artifact.precision, context.judged(i)) for i in range(len(specs))
    ]
    outputs = [
        _output(spec.name, output, limit, artifact.precision)
        for spec, output, limit in zip(specs, found.outputs, limits, strict=False)
    ]
    drop = _drop(context, found)
    edges = [_edge(context, artifact, edge, found) for edge in found.edges]
    reasons = [found.wrong] if found.wrong else []
    reasons += [reason for output in outputs for reason in output["reasons"]]
    test = _drop_test(context, found, limits[0].max_drop)
    reasons += _metric_reasons(context, found, drop, limits[0].max_drop, test)
    reasons += _edge_reasons(edges)
    unsettled = [_unsettled(context, test)] if test and test.verdict == "inconclusive" else []
    head = _decisive(outputs)
    return {
        "artifact": artifact.id,
        "format": artifact.format,
        "precision": artifact.precision,
        "recipe": artifact.recipe,
        "made_for": artifact.made_for,
        "runtime": runtime,
        "verdict": "fail" if reasons else "inconclusive" if unsettled else "pass",
        "reasons": reasons,
        "open": unsettled,
        **{key: head.get(key) for key in ("max_abs", "max_rel", "cosine", "sqnr_db", "top1")},
        "metric": found.metric,
        "drop": drop,
        "test": test and test.to_json(),
        "tolerances": head.get("tolerances") or limits[0].to_json(),
        "outputs": outputs,
        "edges": edges,
    }


def unopened(context: RowContext, artifact: Artifact, runtime: str, error: str) -> dict[str, Any]:
    """The row of an artifact that the runtime does not take."""
    return row(
        context, artifact, runtime, Found(f"cannot be opened: {error}", (), Scored(None), ())
    )


def verdict(rows: list[dict[str, Any]]) -> str:
    """The worst of the rows; nothing to judge is no pass."""
    assert rows
    found = {row["verdict"] for row in rows}
    return next(word for word in ("fail", "inconclusive", "pass") if word in found)


def _output(name: str, found: OutputFound, limit: Bounds, precision: str) -> dict[str, Any]:
    parity, agreement = found.parity, found.agreement
    reasons = _finite_reasons(found)
    reasons += _parity_reasons(parity, limit)
    reasons += _agreement_reasons(agreement, limit)
    return {
        "name": name,
        **asdict(parity),
        "worst": [{"sample": sample, "max_abs": error} for sample, error in parity.worst],
        "top1": agreement.top1 if agreement else None,
        "near_ties": agreement.near_ties if agreement else None,
        "disagreements": agreement.samples[:DISAGREEMENTS] if agreement else [],
        "not_finite": len(found.not_finite),
        "reference_not_finite": len(found.ref_not_finite),
        "tolerances": limit.to_json(),
        "reasons": [f"{name}: {reason}" for reason in reasons],
    }


def _finite_reasons(found: OutputFound) -> list[str]:
    reasons = []
    if found.ref_not_finite:
        reasons.append(
            f"the reference itself gives NaN or infinity for {_samples(found.ref_not_finite)}: "
            "the model is at fault, not the artifact"
        )
    own = sorted(set(found.not_finite) - set(found.ref_not_finite))
    if own:
        reasons.append(f"NaN or infinity for {_samples(own)}, where the reference is finite")
    return reasons


def _samples(indices: list[int]) -> str:
    if len(indices) == 1:
        return f"sample {indices[0]}"
    return f"{len(indices)} samples, the first is {indices[0]}"


def _parity_reasons(parity: Parity, limit: Bounds) -> list[str]:
    reasons = []
    at = f" (sample {parity.worst[0][0]})" if parity.worst else ""
    if _over(parity.max_abs, limit.max_abs):
        reasons.append(f"largest error {parity.max_abs:.3g}{at}, {limit.max_abs:.3g} allowed")
    if _over(parity.max_rel, limit.max_rel):
        reasons.append(
            f"largest error is {parity.max_rel:.3g} of the largest answer {parity.scale:.3g}{at}, "
            f"{limit.max_rel:g} allowed"
        )
    if _over(limit.min_sqnr_db, parity.sqnr_db):
        reasons.append(f"SQNR {parity.sqnr_db:.1f} dB, at least {limit.min_sqnr_db:g} asked")
    return reasons


def _agreement_reasons(agreement: Agreement | None, limit: Bounds) -> list[str]:
    judged = agreement.judged if agreement else None
    if agreement is None or judged is None or not _over(limit.min_top1, judged):
        return []
    differ = agreement.decisions - agreement.same - agreement.near_ties
    return [
        f"{differ} of {agreement.decisions} decisions are not the reference's, near ties left "
        f"aside: {judged:.2%} alike, {limit.min_top1:.2%} asked"
    ]


def _over(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit


def _drop(context: RowContext, found: Found) -> float | None:
    if context.metric is None or context.reference.metric is None or found.metric is None:
        return None
    return context.metric.drop(context.reference.metric, found.metric)


def _drop_test(context: RowContext, found: Found, limit: float | None) -> Paired | None:
    """Where a drop is judged."""
    targets = context.samples.targets
    if context.metric is None or targets is None or limit is None or found.metric is None:
        return None
    reference, confidence = context.reference.scored, context.config.verify.confidence
    return drop_test(context.metric, targets, reference, found.scored, limit, confidence)


def _metric_reasons(
    context: RowContext, found: Found, drop: float | None, limit: float | None, test: Paired | None
) -> list[str]:
    """Without a test, for want of memory, the drop itself is compared."""
    if drop is None or limit is None:
        return []
    if test.verdict != "fail" if test else AccuracyBudget(limit).holds(drop):
        return []
    assert context.metric is not None
    at_least = f" (at least {test.low:.3g}, with {_confidence(context)})" if test else ""
    return [
        f"{context.metric.name} {found.metric:.4g} where the reference has "
        f"{context.reference.metric:.4g}: worse by {drop:.3g}{at_least}, {limit:.3g} allowed"
    ]


def _unsettled(context: RowContext, test: Paired) -> str:
    """Why a row is inconclusive, and what would settle it."""
    assert context.metric is not None
    said = (
        f"{context.metric.name} is worse by {test.drop:.3g} on {test.samples} samples, which with "
        f"{_confidence(context)} stands for {test.low:.3g} to {test.high:.3g}; {test.limit:.3g} "
        "is allowed: "
    )
    if test.more_samples is None:
        return said + "the drop lies at what is allowed, and no number of samples would settle it"
    more = f"{test.more_samples} more samples like these would settle it"
    if test.samples < context.config.verify.samples:
        return f"{said}{more}, and the validation set has no more"
    return f"{said}{more} ([verify] samples = {test.samples + test.more_samples})"


def _confidence(context: RowContext) -> str:
    return f"{100 * context.config.verify.confidence:g} % confidence"


def _edge(
    context: RowContext, artifact: Artifact, found: EdgeFound, all_found: Found
) -> dict[str, Any]:
    worst = max((p.max_abs or 0.0 for p in found.parity), default=None)
    given: dict[str, Any] = {
        "case": found.edge.case,
        "kind": found.edge.kind,
        "inputs": found.edge.described(context.signature),
        "max_abs": worst,
    }
    if found.refused:
        said = f"not asked, the model itself refuses it: {found.refused}"
        return {**given, "verdict": "skipped", "reason": said}
    if artifact.precision == "fp16" and not found.edge.real and found.scale > LARGEST_HALF:
        said = f"not judged, the model itself answers {found.scale:.2g} and float16 ends at 65504"
        return {**given, "verdict": "skipped", "reason": said}
    reason = found.wrong or _edge_error(context, artifact, found, all_found)
    return {**given, "verdict": "fail" if reason else "pass", "reason": reason}


def _edge_error(
    context: RowContext, artifact: Artifact, found: EdgeFound, all_found: Found
) -> str | None:
    for index, parity in enumerate(found.parity):
        assert parity.max_abs is not None
        assert parity.scale is not None
        known = all_found.outputs[index].parity if all_found.outputs else None
        largest = known.max_abs if known and found.edge.real else None
        case, scale = context.judged(index, parity.scale), context.reference.scales[index]
        allowed = edge_bound(context.config, artifact.precision, case, scale, largest)
        if _over(parity.max_abs, allowed):
            name = context.signature.outputs[index].name
            return f"{name}: largest error {parity.max_abs:.3g}, {allowed:.3g} allowed"
    return None


def _edge_reasons(edges: list[dict[str, Any]]) -> list[str]:
    """One sentence for each different trouble."""
    cases: dict[str, list[str]] = {}
    for edge in edges:
        if edge["verdict"] == "fail":
            cases.setdefault(edge["reason"], []).append(edge["case"])
    return [f"{', '.join(names)}: {reason}" for reason, names in cases.items()]


def _decisive(outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """The output whose numbers stand for the row: one that fails, else the least exact."""
    if not outputs:
        return {}
    return max(outputs, key=lambda output: (bool(output["reasons"]), output["max_rel"] or 0.0))
