"""The stage, from top to bottom: who takes part, the contest, what is told of it."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bench.conditions import BUSY
from pipeline.bench.inputs import SAMPLES, save
from pipeline.bench.plan import Item, eager_of, plan, request
from pipeline.bench.precision import computed_in
from pipeline.bench.race import Raced, control_of, race, ratio, warn_if_void
from pipeline.bench.request import EAGER
from pipeline.graph.signature import Signature
from pipeline.project.samples import Samples, load_samples
from pipeline.system.machine import cores, describe
from pipeline.workspace.artifacts import read_signature
from pipeline.workspace.results.base import write_result
from pipeline.workspace.results.bench import BENCH, LATENCIES, Bench, BenchRow, Conditions
from pipeline.workspace.stage import Job, Summary

AGAIN = "the control"  # the first artifact's second contestant


def bench(job: Job) -> Summary:
    """As `pipeline.bench.run`."""
    items = plan(job)
    signature = read_signature(job.inputs["export"])
    samples = load_samples(job.config, "validation", SAMPLES)
    _tell_before(job, signature, samples)
    raced, conditions = _race(job, items, signature, samples)
    again = raced.pop(AGAIN)
    control = control_of(items[1], raced[items[1].name], again)
    settings = job.config.bench
    result = Bench(
        machine=describe(),
        conditions=conditions,
        threads=settings.threads,
        rounds=settings.rounds,
        seconds=settings.seconds,
        seed=settings.seed,
        synthetic=samples.synthetic,
        samples=len(samples),
        control=control,
        void=not control.steady,
        rows=[_row(item, raced) for item in items],
    )
    write_result(job.out / BENCH, result)
    _save_latencies(job.out / LATENCIES, items, raced)
    _tell_after(job, result)
    return _summary(items, result)


def _race(
    job: Job, items: list[Item], signature: Signature, samples: Samples
) -> tuple[dict[str, Raced], Conditions]:
    """By name what came of each, and of the control."""
    contestants = {item.name: item for item in items} | {AGAIN: items[1]}
    settings = job.config.bench
    with (
        tempfile.TemporaryDirectory(dir=job.scratch) as folder,
        job.report.bar("bench", len(contestants) * (1 + settings.rounds)) as bar,
    ):
        save(samples, Path(folder) / "inputs.npz")
        eager = eager_of(job.config, job.inputs["train"], samples)
        requests = {
            name: request(job.config, item, signature, eager, Path(folder))
            for name, item in contestants.items()
        }
        return race(requests, settings.rounds, settings.seed, bar)


def _row(item: Item, raced: Mapping[str, Raced]) -> BenchRow:
    artifact, own = item.artifact, raced[item.name]
    return BenchRow(
        artifact=item.artifact_id,
        format=artifact.format if artifact else None,
        precision=artifact.precision if artifact else "fp32",
        computed_in=computed_in(artifact, item.path) if artifact and not item.peer else None,
        runtime=item.runtime,
        peer=item.peer,
        file_bytes=item.path.stat().st_size if item.path.is_file() else None,
        against_eager=ratio(own, raced[f"{EAGER} in {EAGER}"]),
        **dict(own.figures),
    )


def _summary(items: list[Item], result: Bench) -> Summary:
    return {
        "rows": len(result.rows),
        "errors": sum(bool(row.error) for row in result.rows),
        "void": result.void,
        "p90_ms": {item.name: row.p90_ms for item, row in zip(items, result.rows, strict=True)},
    }


def _save_latencies(path: Path, items: list[Item], raced: Mapping[str, Raced]) -> None:
    """`N.ms`: milliseconds of every run of row N in order; `N.rounds`: how many each round has."""
    arrays: dict[str, Any] = {}
    for number, item in enumerate(items):
        turns = raced[item.name].turns_ms
        arrays[f"{number}.ms"] = np.array([ms for turn in turns for ms in turn], np.float64)
        arrays[f"{number}.rounds"] = np.array([len(turn) for turn in turns], np.int64)
    np.savez_compressed(path, **arrays)


def _tell_before(job: Job, signature: Signature, samples: Samples) -> None:
    """What makes the numbers other than they seem."""
    load = os.getloadavg()[0]
    if load > cores() + BUSY:
        job.report.warn(
            f"This machine is busy (load average {load:.1f} on {cores()} cores): "
            "the timings are those of a busy machine."
        )
    if job.config.bench.threads > cores():
        job.report.warn(f"bench.threads = {job.config.bench.threads} on {cores()} cores.")
    if len(samples) < SAMPLES:
        job.report.warn(
            f"The validation set has {len(samples)} samples; {SAMPLES} different ones are "
            "asked for, so that no cache knows the answer."
        )
    fixed = signature.fixed_batch
    if fixed and set(job.config.bench.batch_sizes) != {fixed}:
        job.report.warn(f"The artifacts take batches of {fixed} only; nothing else is measured.")


def _tell_after(job: Job, result: Bench) -> None:
    for row in result.rows:
        if row.error:
            job.report.warn(f"{row.artifact} in {row.runtime} was not measured: {row.error}")
    warn_if_void(job.report, result.control)
