"""Holds pipeline bench's loop against MLPerf LoadGen, on one session of the same artifact.

    python scripts/loadgen_bench.py examples/mobilenet --artifact torchscript-fp32

One runner is opened. The pipeline's loop and LoadGen's single stream drive it in turns, A B, B A,
each at least 64 runs and the seconds given, on the same samples. Told are the p90 of each turn, by
nearest rank and as early stopping estimates it, and the ratios of the medians over the turns.
"""

import argparse
import re
import statistics
import tempfile
from pathlib import Path

import mlperf_loadgen as lg

from pipeline.config.file import load_config
from pipeline.measure.timing.contest import turns
from pipeline.measure.timing.draw import draw
from pipeline.measure.timing.loop import measure, warm_up
from pipeline.measure.timing.percentiles import summary
from pipeline.project.samples import load_samples
from pipeline.runtimes import Asked, Runner, usable
from pipeline.workspace.artifacts import read_index, read_signature
from pipeline.workspace.folder import Workspace

Pair = tuple[float, float]  # p90 in milliseconds: by nearest rank, by early stopping

LINES = {
    "nearest": re.compile(r"^90\.00 percentile latency \(ns\)\s*:\s*(\d+)", re.MULTILINE),
    "estimate": re.compile(r"Early stopping 90\.0th percentile estimate: (\d+)"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--artifact", default="torchscript-fp32")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    runner, samples = opened(given.project, given.artifact)
    found: list[list[Pair]] = [[], []]
    names = ("pipeline", "LoadGen")
    for number, who in turns(2, given.rounds):
        drive = (ours, theirs)[who]
        pair = drive(runner, samples, given.seconds, number)
        found[who].append(pair)
        print(f"{names[who]:9s} p90 {pair[0]:.4f} ms, with confidence {pair[1]:.4f} ms", flush=True)
    runner.close()
    for at, what in enumerate(("p90", "p90 with confidence")):
        a, b = (statistics.median(pair[at] for pair in side) for side in found)
        print(f"{what}: {a:.4f} against {b:.4f} ms, ratio {a / b:.4f}")


def opened(project: Path, name: str) -> tuple[Runner, list[list[object]]]:
    """The artifact in its Python runtime, and 64 samples with a batch axis."""
    config = load_config(project)
    workspace = Workspace(config.root / "runs" / config.name)
    folders = [workspace.stage(stage) for stage in ("export", "quantize")]
    (path, artifact), *_ = [
        (folder / one.file, one)
        for folder in folders
        for one in read_index(folder)
        if one.id == name
    ]
    (runtime,) = [one for one in usable((), artifact.format) if not one.program]
    signature = read_signature(workspace.stage("export"))
    runner = runtime.open(path, Asked(signature, 1, artifact.made_for, alone=True))
    rows = load_samples(config, "validation", 64).inputs
    return runner, [[array[None] for array in row] for row in rows]


def ours(runner: Runner, samples: list, seconds: float, seed: int) -> Pair:
    def call(number: int) -> object:
        return runner.run(samples[draw(seed, number, len(samples))])

    warm_up(call, 10, 0.5)
    details_of = summary([nanoseconds / 1e6 for nanoseconds in measure(call, 64, seconds)])
    return details_of["p90_nearest_ms"], details_of["p90_ms"]


def theirs(runner: Runner, samples: list, seconds: float, seed: int) -> Pair:
    warm_up(lambda number: runner.run(samples[number % len(samples)]), 10, 0.5)

    def issue(queries: list) -> None:
        for query in queries:
            runner.run(samples[query.index])
            lg.QuerySamplesComplete([lg.QuerySampleResponse(query.id, 0, 0)])

    settings = lg.TestSettings()
    settings.scenario = lg.TestScenario.SingleStream
    settings.mode = lg.TestMode.PerformanceOnly
    settings.min_duration_ms = int(1000 * seconds)
    settings.min_query_count = 64
    settings.sample_index_rng_seed = seed + 1
    with tempfile.TemporaryDirectory() as folder:
        log = lg.LogSettings()
        log.enable_trace = False
        log.log_output.outdir = folder
        log.log_output.copy_summary_to_stdout = False
        system = lg.ConstructSUT(issue, lambda: None)
        library = lg.ConstructQSL(len(samples), len(samples), lambda _: None, lambda _: None)
        lg.StartTestWithLogSettings(system, library, settings, log)
        lg.DestroyQSL(library)
        lg.DestroySUT(system)
        text = (Path(folder) / "mlperf_log_summary.txt").read_text(encoding="utf-8")
    return found_in(text, "nearest"), found_in(text, "estimate")


def found_in(text: str, what: str) -> float:
    match = LINES[what].search(text)
    if match is None:
        raise SystemExit(f"LoadGen's summary has no {what}:\n{text}")
    return int(match[1]) / 1e6


if __name__ == "__main__":
    main()
