"""What is verified: every artifact with every runtime for it."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.runtimes import RUNTIMES, Runtime, usable
from pipeline.system.machine import has_vnni, made_for
from pipeline.workspace.artifacts import Artifact, read_index
from pipeline.workspace.stage import Job


@dataclass(frozen=True)
class Item:
    """One row to come."""

    artifact: Artifact
    path: Path
    runtime: Runtime


def plan(job: Job) -> list[Item]:
    """Raises UsageError where there is no artifact, or one would go unproven."""
    folders = [job.inputs[stage] for stage in ("export", "quantize")]
    artifacts = [(a, folder / a.file) for folder in folders for a in read_index(folder)]
    if not artifacts:
        raise UsageError(
            "There is no artifact to verify: export made none.", "Check [export] formats."
        )
    items = []
    for artifact, path in artifacts:
        runtimes = usable(job.config.verify.runtimes, artifact.format, job.config.verify.emulate)
        if not runtimes:
            raise UsageError(
                f"verify.runtimes names no runtime for {artifact.id}: it would go unproven.",
                f"Add one for {artifact.format}, or leave that out of [export] formats.",
            )
        items += [Item(artifact, path, runtime) for runtime in runtimes]
    return items


def announce(job: Job, items: list[Item]) -> None:
    """Tells which runtimes are not there, and what runs on another CPU than it was made for."""
    if not job.config.verify.runtimes:
        lacking = [(one.name, one.why_not()) for one in RUNTIMES.values() if not one.emulates]
        for why in dict.fromkeys(why for _, why in lacking if why):
            names = ", ".join(name for name, reason in lacking if reason == why)
            job.report.note(f"no rows for {names}: {why}")
    for item in items:
        artifact, here = item.artifact, item.runtime.cpu or made_for()
        if artifact.made_for not in ("any", here):
            job.report.warn(
                f"{artifact.id} was made for {artifact.made_for} and is verified on {here}: "
                "its int8 kernels there are others."
            )
        elif artifact.details.get("reduce_range") is False and not item.runtime.cpu:
            _warn_without_vnni(job, artifact)


def _warn_without_vnni(job: Job, artifact: Artifact) -> None:
    if artifact.made_for == "x86_64" and not has_vnni():
        job.report.warn(
            f"{artifact.id} was made for x86-64 with VNNI, which this machine lacks: sums of its "
            "int8 products may saturate here. Quantize on the kind of machine that it is for."
        )
