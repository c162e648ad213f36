"""Who is measured: artifacts in runtimes, the eager model as the baseline, peers."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.bench.peers import peers
from pipeline.bench.request import EAGER, Eager, Request
from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.signature import Signature
from pipeline.project.samples import Samples
from pipeline.project.weights import WEIGHTS
from pipeline.runtimes import usable
from pipeline.system.machine import made_for
from pipeline.workspace.artifacts import Artifact, read_index
from pipeline.workspace.stage import Job

BATCH_SECONDS = 0.1  # of `seconds`, for each further batch size; a second in the default


@dataclass(frozen=True)
class Item:
    """One row to come; without an artifact it is the eager model's."""

    artifact: Artifact | None
    path: Path
    runtime: str
    peer: bool = False

    @property
    def artifact_id(self) -> str:
        return self.artifact.id if self.artifact else EAGER

    @property
    def name(self) -> str:
        return f"{self.artifact_id} in {self.runtime}{' (peer)' if self.peer else ''}"


def plan(job: Job) -> list[Item]:
    """The eager model first, as the baseline. Raises UsageError without an artifact to measure, and
    for an unknown runtime or peer."""
    bench = job.config.bench
    artifacts = artifacts_of([job.inputs[stage] for stage in ("export", "quantize")])
    items = [
        Item(artifact, path, runtime.name)
        for artifact, path in artifacts
        for runtime in usable(bench.runtimes, artifact.format)
    ]
    if not items:
        raise UsageError(
            "There is nothing to measure: no artifact has a runtime.",
            "Check [bench] runtimes and [export] formats.",
        )
    others = [
        Item(artifact, path, peer.name, peer=True)
        for peer in peers(bench.against)
        for artifact, path in artifacts
        if artifact.format == "onnx"
    ]
    return [Item(None, job.inputs["train"] / WEIGHTS, EAGER), *items, *others]


def artifacts_of(folders: list[Path]) -> list[tuple[Artifact, Path]]:
    """The artifacts of stage folders, and their files."""
    return [
        (artifact, folder / artifact.file) for folder in folders for artifact in read_index(folder)
    ]


def request(
    config: Config, item: Item, signature: Signature, eager: Eager | None, folder: Path
) -> Request:
    """What the worker of an item is asked; `folder` holds the samples, `inputs.npz`."""
    bench = config.bench
    return Request(
        runtime=item.runtime,
        peer=item.peer,
        artifact=str(item.path) if item.artifact else None,
        signature=signature.to_json(),
        made_for=item.artifact.made_for if item.artifact else made_for(),
        eager=None if item.artifact else eager,
        threads=bench.threads,
        inputs=str(folder / "inputs.npz"),
        folder=str(folder),
        fixed_batch=signature.fixed_batch,
        warmup_runs=bench.warmup_runs,
        runs=-(-bench.runs // bench.rounds),
        seconds=bench.seconds / bench.rounds,
        batch_sizes=list(bench.batch_sizes),
        batch_seconds=bench.seconds * BATCH_SECONDS,
    )


def eager_of(config: Config, train: Path, samples: Samples) -> Eager:
    return Eager(
        # The keys as given: a default that is written out would count as given.
        config=config.model_dump(mode="json", exclude_unset=True),
        root=str(config.root),
        train=str(train),
        names=list(samples.names) if samples.names else None,
        keywords=samples.keywords,
    )
