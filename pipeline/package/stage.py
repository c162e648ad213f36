"""What the package stage does, from top to bottom."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline import __version__
from pipeline.bundle import Bundle, Manifest, open_bundle, write_file, write_manifest
from pipeline.bundle import manifest as parts
from pipeline.bundle.names import MAX_FILES
from pipeline.config import Config, ModelInput
from pipeline.errors import DamagedError, UsageError, VerdictError
from pipeline.graph.signature import Signature
from pipeline.measure.task_metric import threshold
from pipeline.package.card import model_card
from pipeline.package.choice import Choice, choose, entry, finite, held_back
from pipeline.package.first import doubt, figures, reason
from pipeline.package.golden import write_golden
from pipeline.package.measured import Timing, best_timings, tells_nothing
from pipeline.package.order import Order, fits, order
from pipeline.package.proof import failures, program_failures
from pipeline.package.timings import latency
from pipeline.system.packages import version_of
from pipeline.system.progress import Bar
from pipeline.workspace.artifacts import read_signature
from pipeline.workspace.results.base import read_result
from pipeline.workspace.results.bench import BENCH, Bench
from pipeline.workspace.results.verdict import VERDICT, Verdict
from pipeline.workspace.stage import Job, Summary

CARD = "MODEL-CARD.md"
README = "README.md"
LABELS = "labels.txt"
OTHERS = 3  # manifest, README and labels


@dataclass(frozen=True)
class Packed:
    """What lies in the bundle's folder already."""

    artifacts: tuple[parts.Artifact, ...]
    golden: tuple[parts.Golden, ...]
    files: tuple[parts.File, ...]


def package(job: Job) -> Summary:
    config = job.config
    verdict = read_result(job.inputs["verify"] / VERDICT, Verdict)
    signature = read_signature(job.inputs["export"])
    bench = read_result(job.inputs["bench"] / BENCH, Bench)
    chosen = choose(job.inputs, verdict, config.package.allow_failed)
    timings = _timings(job, bench, chosen)
    ordered = _ordered(job, bench, chosen, timings)
    choices = ordered.choices
    labels = _labels(config, signature)
    _check_count(config, signature, len(choices))
    folder = job.out / f"{config.name}.bundle"
    with job.report.bar("package", 2 * len(choices) + 2) as bar:
        artifacts = []
        for choice in choices:
            artifacts.append(_pack(choice, folder, signature))
            bar.advance(1, choice.artifact.file)
        train, pool = job.inputs["train"], verdict.samples
        golden, files = write_golden(config, train, signature, pool, folder)
        bar.advance(1, "golden samples")
        if labels:
            text = "".join(f"{label}\n" for label in labels)
            files.append(write_file(folder, LABELS, text.encode("utf-8")))
        held = held_back(job.inputs["quantize"])
        packed = Packed(tuple(artifacts), tuple(golden), tuple(files))
        draft = _manifest(config, signature, verdict, packed, held)
        _finish(folder, draft, model_card(draft, labels, reason(ordered)))
        bundle = open_bundle(folder)
        bar.advance(1, "read back")
        _prove(job, bundle, bar)
    doubtful = doubt(ordered, bench, timings)
    if doubtful:
        job.report.warn(doubtful)
    head = figures(ordered, draft, bench, timings)
    card = model_card(draft, labels, head) + latency(bench)
    (job.out / CARD).write_bytes(card.encode("utf-8"))
    return _summary(bundle)


def _timings(job: Job, bench: Bench, choices: Sequence[Choice]) -> Mapping[str, Timing]:
    """Of what was made for the CPU that `bench` ran on, or for any."""
    here = bench.machine.arch
    ids = {choice.artifact.id for choice in choices if fits(choice, here)}
    return best_timings(bench, job.inputs["bench"], ids)


def _ordered(
    job: Job, bench: Bench, choices: Sequence[Choice], timings: Mapping[str, Timing]
) -> Order:
    """A measurement that is void by nobody knows how much orders nothing."""
    counted = {} if tells_nothing(bench) else timings
    return order(choices, counted, bench.machine.arch, job.config.package.first)


def _prove(job: Job, bundle: Bundle, bar: Bar) -> None:
    """Raises VerdictError if an artifact that passed would fail on the bundle's golden samples."""
    broken: list[str] = []
    for artifact in bundle.manifest.artifacts:
        broken += failures(bundle, artifact)
        bar.advance(1, artifact.id)
    broken += program_failures(bundle)
    if not broken:
        return
    lines = "".join(f"\n  {line}" for line in broken)
    if not job.config.package.allow_failed:
        raise VerdictError(
            f"On the golden samples alone, what had passed fails:{lines}",
            "More of them say more: [package] golden. --allow-failed packs all the same.",
        )
    job.report.warn(f"On the golden samples alone, what had passed fails:{lines}")


def _manifest(
    config: Config,
    signature: Signature,
    verdict: Verdict,
    packed: Packed,
    held: Sequence[str],
) -> Manifest:
    """Complete but for the model card, which is made of it."""
    labels = LABELS if any(file.file == LABELS for file in packed.files) else None
    return Manifest(
        name=config.name,
        version=config.version,
        description=_description(config, held),
        license=config.package.license.strip(),
        verdict=verdict.verdict,
        allow_failed=_not_all_pass(verdict.verdict, packed.artifacts),
        inputs=_inputs(config, signature),
        outputs=_outputs(config, signature, labels),
        artifacts=packed.artifacts,
        verified=_verified(verdict),
        golden=packed.golden,
        files=packed.files,
        producer=_producer(),
    )


def _description(config: Config, held: Sequence[str]) -> str:
    """The user's sentence, and why a format has no int8."""
    return "\n\n".join(part for part in (config.package.description.strip(), *held) if part)


def _finish(folder: Path, draft: Manifest, card: str) -> None:
    """Writes the last two files."""
    readme = write_file(folder, README, card.encode("utf-8"))
    files = sorted([*draft.files, readme], key=lambda file: file.file)
    write_manifest(folder, draft.model_copy(update={"files": tuple(files)}))


def _summary(bundle: Bundle) -> Summary:
    manifest = bundle.manifest
    artifacts = [artifact.id for artifact in manifest.artifacts]
    size = sum(entry.bytes for entry in manifest.entries)
    return {
        "headline": f"{bundle.path.name}: {len(artifacts)} artifacts, {artifacts[0]} first, "
        f"{len(manifest.golden)} golden samples, {size / 1e6:.2f} MB",
        "bundle": bundle.path.name,
        "digest": bundle.digest,
        "bytes": size,
        "artifacts": artifacts,
        "golden": len(manifest.golden),
        "verdict": manifest.verdict,
        "allow_failed": manifest.allow_failed,
    }


def _pack(choice: Choice, folder: Path, signature: Signature) -> parts.Artifact:
    """Copies an artifact; what is written is what was hashed."""
    source = choice.folder / choice.artifact.file
    file = write_file(folder, f"artifacts/{source.name}", source.read_bytes())
    if file.sha256 != choice.artifact.sha256:
        raise DamagedError(
            f"{source} is not the file that its stage wrote.", "Run the stage again with --force."
        )
    return entry(choice, file, [spec.name for spec in signature.outputs])


def _labels(config: Config, signature: Signature) -> tuple[str, ...] | None:
    """Raises UsageError for labels that do not fit the first output, or not on a line."""
    labels = config.labels()
    if labels is None:
        return None
    classes = signature.outputs[0].shape[-1]
    if classes is not None and len(labels) != classes:
        raise UsageError(
            f"output.labels has {len(labels)} labels; the model gives {classes} classes."
        )
    for label in labels:
        if not label.isprintable() or label != label.strip() or not label:
            raise UsageError(f"output.labels: {label!r} is not one line of text.")
    return labels


def _check_count(config: Config, signature: Signature, artifacts: int) -> None:
    each = len(signature.inputs) + len(signature.outputs)
    folders = 2
    most = (MAX_FILES - OTHERS - folders - artifacts) // each
    if config.package.golden > most:
        raise UsageError(
            f"package.golden is {config.package.golden}; a bundle has room for {most} samples."
        )


def _not_all_pass(verdict: str, artifacts: tuple[parts.Artifact, ...]) -> bool:
    return {verdict, *(artifact.verdict for artifact in artifacts)} != {"pass"}


def _inputs(config: Config, signature: Signature) -> tuple[parts.Input, ...]:
    return tuple(
        parts.Input(**vars(spec), kind=_kind(config.input_named(spec.name)))
        for spec in signature.inputs
    )


def _kind(one: ModelInput) -> Literal["image", "tensor"]:
    """To a reader of bundles an image is what a file of a picture holds."""
    return "image" if one.image and one.image.is_picture else "tensor"


def _outputs(config: Config, signature: Signature, labels: str | None) -> tuple[parts.Output, ...]:
    """`[output] kind` speaks of the first output."""
    first, *others = signature.outputs
    return (
        parts.Output(
            **vars(first),
            kind=config.output.kind,
            labels=labels,
            threshold=threshold(config, first),
        ),
        *(
            parts.Output(**vars(spec), kind="tensor", labels=None, threshold=None)
            for spec in others
        ),
    )


def _verified(verdict: Verdict) -> parts.Verified:
    return parts.Verified(
        samples=verdict.samples,
        synthetic=verdict.synthetic,
        threads=verdict.threads,
        arch=verdict.machine.arch,
        flags=tuple(verdict.machine.flags),
        metric=_metric(verdict),
    )


def _metric(verdict: Verdict) -> parts.Metric | None:
    metric = verdict.metric
    if metric is None:
        return None
    return parts.Metric(name=metric.name, goal=metric.goal, reference=finite(metric.reference))


def _producer() -> parts.Producer:
    return parts.Producer(
        pipeline=__version__,
        python=platform.python_version(),
        torch=version_of("torch"),
        onnx=version_of("onnx"),
        onnxruntime=version_of("onnxruntime"),
    )
