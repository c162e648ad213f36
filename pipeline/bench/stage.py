"""The stage: who takes part, the contest, what is told of it."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bench.conditions import BUSY
from pipeline.bench.inputs import save
from pipeline.bench.plan import Item, eager_of, plan, request
from pipeline.bench.precision import computed_in
from pipeline.bench.race import Raced, race
from pipeline.bench.request import EAGER
from pipeline.graph.signature import Signature
from pipeline.measure.timing.contest import CONTROL, Ratio, ratio_of_medians
from pipeline.project.samples import Samples, load_samples
from pipeline.system.machine import cores, describe
from pipeline.workspace.artifacts import read_signature, write_json
from pipeline.workspace.stage import Job, Summary

BENCH = "bench.json"
LATENCIES = "latencies.npz"
SAMPLES = 64  # different inputs at least, so that no cache knows the answer
AGAIN = "the control"  # the first artifact's second contestant


def bench(job: Job) -> Summary:
    """As `pipeline.bench.run`."""
    items = plan(job)
    signature = read_signature(job.inputs["export"])
    samples = load_samples(job.config, "validation", SAMPLES)
    _tell_before(job, signature, samples)
    field = {item.name: item for item in items} | {AGAIN: items[1]}
    settings = job.config.bench
    with (
        tempfile.TemporaryDirectory(dir=job.scratch) as folder,
        job.report.bar("bench", len(field) * (1 + settings.rounds)) as bar,
    ):
        save(samples, Path(folder) / "inputs.npz")
        eager = eager_of(job.config, job.inputs["train"], samples)
        requests = {
            name: request(job.config, item, signature, eager, Path(folder))
            for name, item in field.items()
        }
        found, conditions = race(requests, settings.rounds, settings.seed, bar)
    again = found.pop(AGAIN)
    rows = [_row(item, found) for item in items]
    control = control_of(items[1], found[items[1].name], again)
    result = {
        "machine": describe(),
        "conditions": conditions,
        "threads": settings.threads,
        "rounds": settings.rounds,
        "seconds": settings.seconds,
        "seed": settings.seed,
        "synthetic": samples.synthetic,
        "samples": len(samples),
        "control": control,
        "void": not control["steady"],
        "rows": rows,
    }
    write_json(job.out / BENCH, result)
    _save_latencies(job.out / LATENCIES, items, found)
    _tell_after(job, result)
    p90 = {item.name: found[item.name].row["p90_ms"] for item in items}
    errors = sum(bool(row["error"]) for row in rows)
    return {"rows": len(rows), "errors": errors, "void": result["void"], "p90_ms": p90}


def _row(item: Item, found: Mapping[str, Raced]) -> dict[str, Any]:
    artifact = item.artifact
    raced = found[item.name]
    return {
        "artifact": item.artifact_id,
        "format": artifact.format if artifact else None,
        "precision": artifact.precision if artifact else "fp32",
        "computed_in": computed_in(artifact, item.path) if artifact and not item.peer else None,
        "runtime": item.runtime,
        "peer": item.peer,
        "file_bytes": item.path.stat().st_size if item.path.is_file() else None,
        "against_eager": _ratio(raced, found[f"{EAGER} in {EAGER}"]),
        **raced.row,
    }


def _ratio(ours: Raced, theirs: Raced) -> dict[str, float] | None:
    """None where one of them has not done all its rounds."""
    found = ratio(ours, theirs)
    return found.to_json() if found else None


def ratio(ours: Raced, theirs: Raced) -> Ratio | None:
    """Of two contestants' medians; None where one of them has not done all its rounds."""
    if ours.row["error"] or theirs.row["error"]:
        return None
    return ratio_of_medians(ours.turns_ms, theirs.turns_ms)


def control_of(item: Item, first: Raced, again: Raced) -> dict[str, Any]:
    """The A/A control: the same twice. A method that finds a difference there finds it anywhere."""
    found = ratio(first, again)
    return {
        "artifact": item.artifact_id,
        "runtime": item.runtime,
        "ratio": found.to_json() if found else None,
        "allowed": list(CONTROL),
        "steady": found.steady if found else False,
    }


def _save_latencies(path: Path, items: list[Item], found: Mapping[str, Raced]) -> None:
    """`N.ms`: milliseconds of every run of row N in order; `N.rounds`: how many each round has."""
    arrays: dict[str, Any] = {}
    for number, item in enumerate(items):
        turns = found[item.name].turns_ms
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
    fixed = signature.inputs[0].shape[0]
    if fixed and set(job.config.bench.batch_sizes) != {fixed}:
        job.report.warn(f"The artifacts take batches of {fixed} only; nothing else is measured.")


def _tell_after(job: Job, result: Mapping[str, Any]) -> None:
    for row in result["rows"]:
        if row["error"]:
            job.report.warn(
                f"{row['artifact']} in {row['runtime']} was not measured: {row['error']}"
            )
    if result["void"]:
        job.report.warn(void(result["control"]))


def void(control: Mapping[str, Any]) -> str:
    """Why a run says nothing of small differences."""
    low, high = control["allowed"]
    name = f"{control['artifact']} in {control['runtime']}"
    if control["ratio"] is None:
        return f"The measurement is void: the control, {name} twice, was not measured."
    return (
        f"The measurement is void: {name} against itself came to {control['ratio']['ratio']:.3f}, "
        f"outside {low:g} to {high:g}. Something else is at work here; measure again when it is "
        "not, or longer ([bench] seconds)."
    )
