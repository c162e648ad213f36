"""`drift.ARTIFACT.json` of every artifact: what the report shows by layer."""

from collections.abc import Collection, Iterable
from pathlib import Path

from pipeline.errors import PipelineError, first_line
from pipeline.workspace.artifacts import Artifact
from pipeline.workspace.results.base import write_result
from pipeline.workspace.results.drift import drift_file
from pipeline.workspace.stage import Job


def write_layers(
    job: Job, files: Iterable[tuple[Path, Artifact]], unproven: Collection[str]
) -> None:
    """Measures each artifact that its Python runtime opens. What cannot be walked through, such
    as a file that no runtime takes, is noted: no verdict depends on it. Where an artifact is
    `unproven`, its first bad layer is noted too."""
    from pipeline.verify.drift.run import as_file, default_against, drift, prepare

    items = list(files)
    with job.report.bar("layers", 2 * len(items)) as bar:
        run = prepare(job.config, job.inputs, job.scratch)
        for path, artifact in items:
            file = as_file(artifact, path)
            try:
                measured = drift(run, file, default_against(run, file), bar)
            except PipelineError as error:
                job.report.note(f"no layers of {artifact.id}: {first_line(error)}")
                continue
            write_result(job.out / drift_file(artifact.id), measured)
            if measured.worst and artifact.id in unproven:
                job.report.note(
                    f"{artifact.id} leaves the reference at {measured.worst.name} "
                    f"({measured.worst.operator}): pipeline verify --drift {artifact.id}"
                )
