"""The stage: which rows there are, one worker for each, one after the other."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact, read_index, read_signature, write_json
from pipeline.bench.inputs import save
from pipeline.bench.request import EAGER, Eager, Request
from pipeline.bench.spawn import run_worker
from pipeline.errors import UsageError
from pipeline.machine import cores, describe, made_for
from pipeline.runtimes import usable
from pipeline.samples import Samples, load_samples
from pipeline.signature import Signature
from pipeline.stage import Job, Summary
from pipeline.weights import WEIGHTS

BENCH = "bench.json"
SAMPLES = 64  # different inputs that take turns, so that no cache knows the answer
LIMIT_S = 1200.0  # a row that takes longer is given up

# What a row has where its worker came to no result.
NOTHING: dict[str, Any] = {
    **dict.fromkeys(("load_ms", "first_ms", "p50_ms", "p90_ms", "p99_ms")),
    **dict.fromkeys(("threads", "batch", "runs", "warmup_runs", "peak_bytes", "baseline_bytes")),
    "latencies_ms": [],
    "throughput": {},
    "runner": {},
}


@dataclass(frozen=True)
class Item:
    """One row to come; without an artifact it is the eager model's."""

    artifact: Artifact | None
    path: Path
    runtime: str

    @property
    def name(self) -> str:
        return self.artifact.id if self.artifact else EAGER


def bench(job: Job) -> Summary:
    """As `pipeline.bench.run`."""
    load = os.getloadavg()
    plan = _plan(job)
    signature = read_signature(job.inputs["export"])
    samples = load_samples(job.config, "validation", SAMPLES)
    _tell(job, load, signature)
    rows = []
    with (
        tempfile.TemporaryDirectory(dir=job.scratch) as folder,
        job.report.bar("bench", len(plan)) as bar,
    ):
        save(samples, Path(folder) / "inputs.npz")
        for item in plan:
            bar.advance(0, f"{item.name} in {item.runtime}")
            request = _request(job, item, signature, samples, Path(folder))
            rows.append(_row(item, request))
            bar.advance()
    for row in rows:
        if row["error"]:
            job.report.warn(
                f"{row['artifact']} in {row['runtime']} was not measured: {row['error']}"
            )
    result = {
        "machine": describe(),
        "load_average": list(load),
        "threads": job.config.bench.threads,
        "synthetic": samples.synthetic,
        "samples": len(samples),
        "rows": rows,
    }
    write_json(job.out / BENCH, result)
    p50 = {f"{row['artifact']} in {row['runtime']}": row["p50_ms"] for row in rows}
    return {"rows": len(rows), "errors": sum(bool(row["error"]) for row in rows), "p50_ms": p50}


def _plan(job: Job) -> list[Item]:
    """The eager model first, as the baseline. Raises UsageError without an artifact to measure."""
    plan = [
        Item(artifact, job.inputs[stage] / artifact.file, runtime.name)
        for stage in ("export", "quantize")
        for artifact in read_index(job.inputs[stage])
        for runtime in usable(job.config.bench.runtimes, artifact.format)
    ]
    if not plan:
        raise UsageError(
            "There is nothing to measure: no artifact has a runtime.",
            "Check [bench] runtimes and [export] formats.",
        )
    return [Item(None, job.inputs["train"] / WEIGHTS, EAGER), *plan]


def _tell(job: Job, load: tuple[float, float, float], signature: Signature) -> None:
    """What makes the numbers other than they seem."""
    if load[0] > cores() + 1:
        job.report.warn(
            f"This machine is busy (load average {load[0]:.1f} on {cores()} cores): "
            "the timings are those of a busy machine."
        )
    if job.config.bench.threads > cores():
        job.report.warn(f"bench.threads = {job.config.bench.threads} on {cores()} cores.")
    fixed = signature.inputs[0].shape[0]
    if fixed and set(job.config.bench.batch_sizes) != {fixed}:
        job.report.warn(f"The artifacts take batches of {fixed} only; nothing else is measured.")


def _request(job: Job, item: Item, signature: Signature, samples: Samples, folder: Path) -> Request:
    config = job.config
    eager = Eager(
        # The keys as given: a default that is written out would count as given.
        config=config.model_dump(mode="json", exclude_unset=True),
        root=str(config.root),
        train=str(job.inputs["train"]),
        names=list(samples.names) if samples.names else None,
        keywords=samples.keywords,
    )
    return Request(
        runtime=item.runtime,
        artifact=str(item.path) if item.artifact else None,
        signature=signature.to_json(),
        made_for=item.artifact.made_for if item.artifact else made_for(),
        eager=None if item.artifact else eager,
        threads=config.bench.threads,
        inputs=str(folder / "inputs.npz"),
        result=str(folder / f"{item.name} {item.runtime}.json"),
        fixed_batch=signature.inputs[0].shape[0],
        warmup_runs=config.bench.warmup_runs,
        runs=config.bench.runs,
        seconds=config.bench.seconds,
        batch_sizes=list(config.bench.batch_sizes),
    )


def _row(item: Item, request: Request) -> dict[str, Any]:
    artifact = item.artifact
    return {
        "artifact": item.name,
        "format": artifact.format if artifact else None,
        "precision": artifact.precision if artifact else "fp32",
        "runtime": item.runtime,
        "file_bytes": item.path.stat().st_size if item.path.is_file() else None,
        **NOTHING,
        **run_worker(request, LIMIT_S),
    }
