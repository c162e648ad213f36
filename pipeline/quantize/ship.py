"""What ships: a file in the stage's folder, its line in the index, what it holds."""

from dataclasses import dataclass, field

from pipeline.quantize.coverage import Coverage, coverage_of
from pipeline.quantize.make import recipe_of
from pipeline.quantize.plan import Plan
from pipeline.quantize.recipes import Task
from pipeline.quantize.search.outcome import Outcome
from pipeline.quantize.search.trial import Trial
from pipeline.workspace.artifacts import Artifact, artifact_id, file_name, sha256_of
from pipeline.workspace.results.quantize import FileBytes, LayerCount, Quantized, WeightBytes
from pipeline.workspace.stage import Job


@dataclass
class Shipped:
    """What the stage has made so far, by artifact."""

    artifacts: list[Artifact] = field(default_factory=list)
    coverage: dict[str, Quantized] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, artifact: Artifact, plan: Plan, coverage: Coverage, seconds: float) -> None:
        self.artifacts.append(artifact)
        assert artifact.recipe is not None
        self.coverage[artifact.id] = Quantized(
            recipe=artifact.recipe,
            format=artifact.format,
            file_bytes=FileBytes(before=plan.source.bytes, after=artifact.bytes),
            operators=artifact.operators,
            details=artifact.details,
            layers={
                kind: LayerCount(quantized=done, of=there)
                for kind, (done, there) in coverage.layers.items()
            },
            weight_bytes=WeightBytes(
                before=coverage.before.weight_bytes, after=coverage.after.weight_bytes
            ),
            ratio=coverage.ratio,
        )
        self.seconds[artifact.id] = seconds


def ship(job: Job, task: Task, outcome: Outcome) -> tuple[Artifact, Coverage]:
    """Copies what won a search under the name that artifacts have."""
    plan, trial = outcome.plan, outcome.best
    assert trial is not None and outcome.file is not None
    recipe = recipe_of(task, trial.candidate)
    path = job.out / file_name(plan.source.format, f"{recipe.name}{plan.suffix}")
    path.write_bytes(outcome.file.read_bytes())
    coverage = coverage_of(recipe, task.path, path)
    job.report.note(f"{path.name}: {coverage}")
    return _artifact(plan, trial, outcome.why, path.name, job, coverage), coverage


def _artifact(
    plan: Plan, trial: Trial, why: str, file: str, job: Job, coverage: Coverage
) -> Artifact:
    candidate, path = trial.candidate, job.out / file
    layers = {kind: f"{done} of {there}" for kind, (done, there) in coverage.layers.items()}
    return Artifact(
        id=artifact_id(candidate.format, f"{candidate.recipe}{plan.suffix}"),
        format=candidate.format,
        precision=candidate.precision,
        recipe=candidate.recipe,
        file=file,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        version=coverage.after.version,
        made_for=trial.made_for,
        operators=coverage.after.operators,
        details=trial.details | ({"chosen": why} if why else {}) | {"layers": layers},
    )
