"""The stage: what is asked, of whom, in which order."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import Config, threads_or_all
from pipeline.errors import UsageError
from pipeline.graph.signature import Signature
from pipeline.measure.task_metric import build_metric
from pipeline.project.samples import load_samples
from pipeline.runtimes import RUNTIMES, Asked, RunnerError, Runtime, usable
from pipeline.runtimes.eager import EagerRunner, wrapped_model
from pipeline.system.machine import describe, has_vnni, made_for
from pipeline.system.progress import Bar
from pipeline.verify import compatibility
from pipeline.verify.compare import compare
from pipeline.verify.edge_cases import edges
from pipeline.verify.layers import write_layers
from pipeline.verify.reference import Questions, ask_reference
from pipeline.verify.samples_kept import SamplesKept, write_pictures, write_samples
from pipeline.verify.scores import Scores
from pipeline.verify.verdict import RowContext, row, unopened, verdict
from pipeline.workspace.artifacts import Artifact, read_index, read_signature, write_json
from pipeline.workspace.stage import Job, Summary

VERDICT = "verdict.json"


@dataclass(frozen=True)
class Item:
    """One row to come."""

    artifact: Artifact
    path: Path
    runtime: Runtime


def verify(job: Job) -> Summary:
    """As `pipeline.verify.run`."""
    plan = _plan(job)
    signature = read_signature(job.inputs["export"])
    _check_output_names(job.config, signature)
    samples = load_samples(job.config, "validation", job.config.verify.samples)
    questions = Questions(
        signature, samples, job.config.verify.batch_size, edges(job.config, signature, samples)
    )
    _tell(job, questions, plan)
    with (
        tempfile.TemporaryDirectory(dir=job.scratch) as folder,
        job.report.bar("verify", questions.steps() * (1 + len(plan))) as bar,
    ):
        context = _reference(job, questions, Path(folder), bar)
        asked = [_row(job, context, questions, item, bar) for item in plan]
    rows, kept = [row for row, _ in asked], [kept for _, kept in asked]
    files = {item.path: item.artifact for item in plan}
    targets = compatibility.rows(files, job.config.verify.targets)
    metric = context.metric and {
        "name": context.metric.name,
        "goal": context.metric.goal,
        "reference": context.reference.metric,
    }
    result: dict[str, Any] = {
        "verdict": verdict([*rows, *(row for row in targets if row["judged"])]),
        "samples": len(samples),
        "synthetic": samples.synthetic,
        "confidence": job.config.verify.confidence,
        "labels": job.config.labels(),
        "threads": threads_or_all(job.config.verify.threads),
        "machine": describe(),
        "metric": metric,
        "rows": rows,
        "compatibility": targets,
    }
    write_json(job.out / VERDICT, result)
    write_samples(job.out, kept, samples)
    if job.config.input.kind == "image":
        write_pictures(job.out, kept, samples)
    if job.config.verify.drift:
        unproven = {row["artifact"] for row in rows if row["verdict"] != "pass"}
        write_layers(job, files.items(), unproven)
    for found in rows:
        for said in found["open"]:
            job.report.warn(f"{found['artifact']} in {found['runtime']} is inconclusive: {said}.")
    failing = sum(row["verdict"] == "fail" for row in rows)
    return {
        **{key: result[key] for key in ("verdict", "samples", "synthetic")},
        "rows": len(rows),
        "failing": failing,
        "inconclusive": sum(row["verdict"] == "inconclusive" for row in rows),
    }


def _plan(job: Job) -> list[Item]:
    """Every artifact with every runtime for it. Raises UsageError if one would go unproven."""
    folders = [job.inputs[stage] for stage in ("export", "quantize")]
    artifacts = [(a, folder / a.file) for folder in folders for a in read_index(folder)]
    if not artifacts:
        raise UsageError(
            "There is no artifact to verify: export made none.", "Check [export] formats."
        )
    plan = []
    for artifact, path in artifacts:
        runtimes = usable(job.config.verify.runtimes, artifact.format, job.config.verify.emulate)
        if not runtimes:
            raise UsageError(
                f"verify.runtimes names no runtime for {artifact.id}: it would go unproven.",
                f"Add one for {artifact.format}, or leave that out of [export] formats.",
            )
        plan += [Item(artifact, path, runtime) for runtime in runtimes]
    return plan


def _check_output_names(config: Config, signature: Signature) -> None:
    """Raises UsageError for bounds of an output that there is not."""
    names = [spec.name for spec in signature.outputs]
    for name in config.verify.outputs:
        if name not in names:
            raise UsageError(
                f"verify.outputs: the model has no output {name!r}.",
                f"It has: {', '.join(names)}.",
            )


def _tell(job: Job, questions: Questions, plan: list[Item]) -> None:
    """What the reader of the verdict must know about how it was reached."""
    samples, asked = questions.samples, job.config.verify.samples
    if samples.synthetic:
        job.report.warn("Without [data] entry the artifacts are verified on noise, not on samples.")
    elif len(samples) < asked and "samples" in job.config.verify.model_fields_set:
        job.report.warn(
            f"The validation set has {len(samples)} samples; verify.samples asks for {asked}."
        )
    if not job.config.verify.runtimes:
        lacking = [(one.name, one.why_not()) for one in RUNTIMES.values() if not one.emulates]
        for why in dict.fromkeys(why for _, why in lacking if why):
            names = ", ".join(name for name, said in lacking if said == why)
            job.report.note(f"no rows for {names}: {why}")
    for item in plan:
        kind, here = item.artifact.made_for, item.runtime.cpu or made_for()
        if kind not in ("any", here):
            job.report.warn(
                f"{item.artifact.id} was made for {kind} and is verified on {here}: "
                "its int8 kernels there are others."
            )
        elif item.artifact.details.get("reduce_range") is False and not item.runtime.cpu:
            _tell_without_vnni(job, item.artifact)


def _tell_without_vnni(job: Job, artifact: Artifact) -> None:
    if artifact.made_for == "x86_64" and not has_vnni():
        job.report.warn(
            f"{artifact.id} was made for x86-64 with VNNI, which this machine lacks: sums of its "
            "int8 products may saturate here. Quantize on the kind of machine that it is for."
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
    for case, said in reference.refused.items():
        job.report.warn(f"The edge case '{case}' is not asked: {said}")
    return RowContext(config, questions.signature, reference, metric, samples)


def _row(
    job: Job, context: RowContext, questions: Questions, item: Item, bar: Bar
) -> tuple[dict[str, Any], SamplesKept]:
    artifact, runtime = item.artifact, item.runtime
    bar.advance(0, f"{artifact.id} in {runtime.name}")
    threads = threads_or_all(job.config.verify.threads)
    gathers = context.gathers(artifact.precision)
    try:
        runner = runtime.open(item.path, Asked(context.signature, threads, artifact.made_for))
    except RunnerError as error:
        bar.advance(questions.steps())
        return unopened(context, artifact, runtime.name, str(error)), gathers.kept
    try:
        found = compare(runner, questions, context.reference, gathers, bar)
    finally:
        runner.close()
    return row(context, artifact, runtime.name, found), gathers.kept
