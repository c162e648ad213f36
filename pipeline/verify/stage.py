"""The stage, from top to bottom: plan, reference, comparisons, rows, verdict."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import Config, threads_or_all
from pipeline.errors import UsageError
from pipeline.graph.signature import Signature
from pipeline.measure.conditioning import Conditioning
from pipeline.measure.task_metric import build_metric
from pipeline.project.samples import load_samples
from pipeline.runtimes.eager import EagerRunner, wrapped_model
from pipeline.system.machine import describe
from pipeline.system.progress import Bar
from pipeline.verify import compatibility
from pipeline.verify.compare import compare
from pipeline.verify.context import RowContext
from pipeline.verify.edge_cases import edges
from pipeline.verify.judge import judge
from pipeline.verify.layers import write_layers
from pipeline.verify.plan import Item, announce, plan
from pipeline.verify.reference import Questions, ask_reference
from pipeline.verify.samples_kept import SamplesKept, write_pictures, write_samples
from pipeline.verify.scores import Scores
from pipeline.workspace.artifacts import read_signature
from pipeline.workspace.results.base import write_result
from pipeline.workspace.results.verdict import (
    VERDICT,
    CompatibilityRow,
    Verdict,
    VerdictMetric,
    VerdictRow,
    worst,
)
from pipeline.workspace.stage import Job, Summary


def verify(job: Job) -> Summary:
    """As `pipeline.verify.run`."""
    items = plan(job)
    questions = _questions(job)
    announce(job, items)
    with (
        tempfile.TemporaryDirectory(dir=job.scratch) as folder,
        job.report.bar("verify", questions.steps() * (1 + len(items))) as bar,
    ):
        context = _reference(job, questions, Path(folder), bar)
        judged = [_row(context, questions, item, bar) for item in items]
    rows, kept = [row for row, _ in judged], [kept for _, kept in judged]
    files = {item.path: item.artifact for item in items}
    targets = compatibility.rows(files, job.config.verify.targets)
    verdict = _verdict(context, rows, targets)
    write_result(job.out / VERDICT, verdict)
    write_samples(job.out, kept, questions.samples)
    if job.config.picture is not None:
        write_pictures(job.out, kept, questions.samples, job.config.picture)
    if job.config.verify.drift:
        unproven = {row.artifact for row in rows if row.verdict != "pass"}
        write_layers(job, files.items(), unproven)
    _warn_of_open_rows(job, rows)
    for row in rows:
        for output in row.outputs:
            if output.not_judged:
                where = f"{row.artifact} in {row.runtime}: {output.name}"
                job.report.note(f"{where} is {output.not_judged}.")
    return _summary(verdict)


def _questions(job: Job) -> Questions:
    """Raises UsageError for bounds of an output that there is not."""
    config, settings = job.config, job.config.verify
    signature = read_signature(job.inputs["export"])
    _check_output_names(config, signature)
    samples = load_samples(config, "validation", settings.samples)
    if samples.synthetic:
        job.report.warn("Without [data] entry the artifacts are verified on noise, not on samples.")
    elif len(samples) < settings.samples and "samples" in settings.model_fields_set:
        job.report.warn(
            f"The validation set has {len(samples)} samples; verify.samples asks for "
            f"{settings.samples}."
        )
    return Questions(signature, samples, settings.batch_size, edges(config, signature, samples))


def _check_output_names(config: Config, signature: Signature) -> None:
    names = [spec.name for spec in signature.outputs]
    for name in config.verify.outputs:
        if name not in names:
            raise UsageError(
                f"verify.outputs: the model has no output {name!r}.",
                f"It has: {', '.join(names)}.",
            )


def _reference(job: Job, questions: Questions, folder: Path, bar: Bar) -> RowContext:
    """Asks the reference, and closes it before any artifact is opened."""
    config, samples = job.config, questions.samples
    classes = (questions.signature.outputs[0].shape or (None,))[-1]
    metric = None if samples.synthetic else build_metric(config, classes)
    model = wrapped_model(config, job.inputs["train"], samples)
    runner = EagerRunner(model, threads_or_all(config.verify.threads))
    del model
    try:
        scores = Scores(metric, samples, paired=True)
        reference = ask_reference(config, runner, questions, scores, folder, bar)
    finally:
        runner.close()
    if metric is not None and reference.metric is None:
        job.report.warn(f"{metric.name} of the reference is not a finite number; it is left out.")
        metric = None
    for case, reason in reference.refused.items():
        job.report.warn(f"The edge case '{case}' is not asked: {reason}")
    conditioning = Conditioning(lambda: wrapped_model(config, job.inputs["train"], samples))
    return RowContext(config, questions.signature, reference, metric, samples, conditioning)


def _row(
    context: RowContext, questions: Questions, item: Item, bar: Bar
) -> tuple[VerdictRow, SamplesKept]:
    """Judged at once: the answers that a comparison holds are too many to keep those of all."""
    comparison = compare(context, questions, item, bar)
    return judge(context, item.artifact, item.runtime.name, comparison), comparison.kept


def _verdict(
    context: RowContext, rows: list[VerdictRow], targets: list[CompatibilityRow]
) -> Verdict:
    settings, labels = context.config.verify, context.config.labels()
    counted = [row.verdict for row in rows] + [one.verdict for one in targets if one.judged]
    return Verdict(
        verdict=worst(counted),
        samples=len(context.samples),
        synthetic=context.samples.synthetic,
        confidence=settings.confidence,
        labels=list(labels) if labels is not None else None,
        threads=threads_or_all(settings.threads),
        machine=describe(),
        metric=_metric(context),
        rows=rows,
        compatibility=targets,
    )


def _metric(context: RowContext) -> VerdictMetric | None:
    metric = context.metric
    if metric is None:
        return None
    return VerdictMetric(name=metric.name, goal=metric.goal, reference=context.reference.metric)


def _warn_of_open_rows(job: Job, rows: Sequence[VerdictRow]) -> None:
    for row in rows:
        for reason in row.open:
            job.report.warn(f"{row.artifact} in {row.runtime} is inconclusive: {reason}.")


def _summary(verdict: Verdict) -> Summary:
    outcomes = [row.verdict for row in verdict.rows]
    return {
        "verdict": verdict.verdict,
        "samples": verdict.samples,
        "synthetic": verdict.synthetic,
        "rows": len(outcomes),
        "failing": outcomes.count("fail"),
        "inconclusive": outcomes.count("inconclusive"),
    }
