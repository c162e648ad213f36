"""`pipeline bench --compare`: our artifacts against another run's or a bundle's, in one contest.

Figures of another hour, or another machine, are not compared: both sides are measured here and now,
in turns.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.bench.inputs import SAMPLES, save
from pipeline.bench.plan import Item, artifacts_of, request
from pipeline.bench.race import Raced, control_of, race, ratio, warn_if_void
from pipeline.bundle import Manifest, open_bundle
from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.project.samples import load_samples
from pipeline.runtimes import usable
from pipeline.system.machine import describe
from pipeline.system.progress import Reporter
from pipeline.workspace.artifacts import Artifact, read_signature
from pipeline.workspace.results.bench import ComparedBench, ComparedRow, Conditions
from pipeline.workspace.results.ratio import Ratio, Tells
from pipeline.workspace.stage import Job

MANIFEST = "manifest.json"
Files = list[tuple[Artifact, Path]]


def compare(job: Job, other: Path) -> ComparedBench:
    """Every artifact that both sides have, in every runtime: `faster`, `slower`, `same` or
    `can't tell` of ours, with the ratio of medians and its interval.

    `other` is a workspace (`runs/NAME`) or a bundle. Raises UsageError where nothing compares.
    """
    ours = artifacts_of([job.inputs[stage] for stage in ("export", "quantize")])
    signature = read_signature(job.inputs["export"])
    theirs, their_signature = _other(other)
    _same_inputs(signature, their_signature, other)
    pairs = _pairs(job.config, ours, theirs)
    if not pairs:
        raise UsageError(
            f"{other} has no artifact that this run has: {_ids(theirs)} there, {_ids(ours)} here.",
            "Compare with a run or bundle of the same [export] formats and [quantize] recipes.",
        )
    raced, conditions = _race(job, {"ours": signature, "theirs": their_signature}, pairs)
    control = control_of(pairs[0][0], raced["0 ours"], raced["control"])
    rows = [_row(number, pair, raced, control.ratio) for number, pair in enumerate(pairs)]
    result = ComparedBench(
        against=str(other),
        machine=describe(),
        conditions=conditions,
        control=control,
        void=not control.steady,
        regressions=sum(row.tells == "slower" for row in rows),
        rows=rows,
    )
    _tell(job.report, result)
    return result


def _other(path: Path) -> tuple[Files, Signature]:
    if (path / MANIFEST).is_file():
        return _of_bundle(path, open_bundle(path).manifest)
    if (path / "export").is_dir():
        folders = [path / stage for stage in ("export", "quantize") if (path / stage).is_dir()]
        return artifacts_of(folders), read_signature(path / "export")
    raise UsageError(
        f"{path} is neither a workspace nor a bundle.",
        "Give the folder of another run (runs/NAME) or a NAME.bundle.",
    )


def _of_bundle(path: Path, manifest: Manifest) -> tuple[Files, Signature]:
    files = [
        (
            Artifact(
                id=entry.id,
                format=entry.format,
                precision=entry.precision,
                recipe=entry.recipe,
                file=entry.file,
                bytes=entry.bytes,
                sha256=entry.sha256,
                version=entry.version,
                made_for=entry.made_for,
                operators=entry.operators,
            ),
            path / entry.file,
        )
        for entry in manifest.artifacts
    ]
    inputs, outputs = (
        tuple(TensorSpec(spec.name, spec.dtype, tuple(spec.shape)) for spec in specs)
        for specs in (manifest.inputs, manifest.outputs)
    )
    return files, Signature(inputs, outputs)


def _same_inputs(ours: Signature, theirs: Signature, other: Path) -> None:
    """What goes in must be the same; what comes out may have changed."""
    here, there = ([_what(spec) for spec in side.inputs] for side in (ours, theirs))
    if here != there:
        raise UsageError(
            f"{other} takes {', '.join(there)}, this run {', '.join(here)}: the same samples "
            "do not fit both.",
            "Compare runs whose inputs are the same.",
        )


def _what(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype}{[axis or 'any' for axis in spec.shape]}"


def _pairs(config: Config, ours: Files, theirs: Files) -> list[tuple[Item, Item]]:
    known = {artifact.id: (artifact, path) for artifact, path in theirs}
    return [
        (Item(artifact, path, runtime.name), Item(*known[artifact.id], runtime.name))
        for artifact, path in ours
        if artifact.id in known
        for runtime in usable(config.bench.runtimes, artifact.format)
    ]


def _ids(files: Files) -> str:
    return ", ".join(artifact.id for artifact, _ in files) or "none"


def _race(
    job: Job, signatures: Mapping[str, Signature], pairs: list[tuple[Item, Item]]
) -> tuple[dict[str, Raced], Conditions]:
    """Ours and theirs beside each other, so that they meet the same disturbances."""
    contestants = {
        f"{number} {side}": (item, signatures[side])
        for number, pair in enumerate(pairs)
        for side, item in zip(("ours", "theirs"), pair, strict=True)
    } | {"control": (pairs[0][0], signatures["ours"])}
    config = job.config
    config = config.model_copy(
        update={"bench": config.bench.model_copy(update={"batch_sizes": (1,)})}
    )
    rounds = config.bench.rounds
    with (
        tempfile.TemporaryDirectory(dir=job.scratch) as folder,
        job.report.bar("compare", len(contestants) * (1 + rounds)) as bar,
    ):
        save(load_samples(config, "validation", SAMPLES), Path(folder) / "inputs.npz")
        requests = {
            name: request(config, item, signature, None, Path(folder))
            for name, (item, signature) in contestants.items()
        }
        return race(requests, rounds, config.bench.seed, bar)


def _row(
    number: int, pair: tuple[Item, Item], raced: Mapping[str, Raced], control: Ratio | None
) -> ComparedRow:
    ours, theirs = (raced[f"{number} {side}"] for side in ("ours", "theirs"))
    measured = ratio(ours, theirs)
    item = pair[0]
    assert item.artifact is not None and pair[1].artifact is not None
    return ComparedRow(
        artifact=item.artifact_id,
        runtime=item.runtime,
        same_file=item.artifact.sha256 == pair[1].artifact.sha256,
        p50_ms=ours.figures.p50_ms,
        p90_ms=ours.figures.p90_ms,
        other_p50_ms=theirs.figures.p50_ms,
        other_p90_ms=theirs.figures.p90_ms,
        ratio=measured,
        tells=_tells(measured, control),
        error=ours.figures.error or theirs.figures.error,
    )


def _tells(measured: Ratio | None, control: Ratio | None) -> Tells:
    if measured is None or control is None:
        return "can't tell"
    return measured.tells if control.steady else measured.doubted(control).tells


def _tell(report: Reporter, result: ComparedBench) -> None:
    for row in result.rows:
        if row.error:
            report.warn(f"{row.artifact} in {row.runtime} was not measured: {row.error}")
    warn_if_void(report, result.control)
