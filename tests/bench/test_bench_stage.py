"""Real rows, real processes, and what is left of them: nothing."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from pipeline import bench
from pipeline.bench.plan import plan
from pipeline.bench.race import Raced, control_of, warn_if_void
from pipeline.bench.request import Eager, Request, Turn
from pipeline.bench.spawn import Worker, WorkerError
from pipeline.config import Config
from pipeline.config.file import load_config
from pipeline.errors import UsageError
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.measure.timing.percentiles import summary as percentiles
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import read_json, write_index
from pipeline.workspace.stage import Job
from tests.command import children

SIGNATURE = Signature(
    (TensorSpec("x", "float32", (None, 3)),), (TensorSpec("y", "float32", (None, 2)),)
)


def test_rows(job: Job, report: Silent) -> None:
    summary = bench.run(job)
    found = read_json(job.out / "bench.json")
    rows = {(row["artifact"], row["runtime"]): row for row in found["rows"]}
    assert list(rows) == [
        ("eager", "eager"),
        ("torchscript-fp32", "torchscript"),
        ("torchscript-fp32", "cpp-libtorch"),
        ("onnx-fp32", "onnxruntime"),
        ("onnx-fp32", "cpp-onnxruntime"),
        ("onnx-int8-static", "onnxruntime"),
        ("onnx-int8-static", "cpp-onnxruntime"),
    ]
    latencies = np.load(job.out / "latencies.npz")
    for runtime, said in (("onnxruntime", "failed"), ("cpp-onnxruntime", "unsafe-model")):
        number = list(rows).index(("onnx-int8-static", runtime))
        broken = rows["onnx-int8-static", runtime]
        assert said in broken["error"]
        assert str(job.out.parent) not in broken["error"]
        assert (broken["p50_ms"], broken["throughput"], broken["against_eager"]) == (None, {}, None)
        assert len(latencies[f"{number}.ms"]) == 0
    assert summary["rows"] == 7
    assert summary["errors"] == 2
    assert any("was not measured" in warning for warning in report.warnings)
    assert any("10 samples; 64 different ones" in warning for warning in report.warnings)
    for number, row in enumerate(list(rows.values())[:5]):
        assert row["error"] is None
        assert row["threads"] == 2  # as torch and onnxruntime say themselves
        ms, rounds = latencies[f"{number}.ms"], latencies[f"{number}.rounds"]
        assert row["runs"] == len(ms) == sum(rounds) >= 64
        assert len(rounds) == row["rounds"] == 10
        assert min(rounds) >= 7  # 64 runs, shared out
        assert {name: row[name] for name in percentiles(ms)} == percentiles(ms)
        assert row["p50_ms"] in ms
        assert row["p90_ms"] in ms
        assert set(row["throughput"]) == {"1", "4"}
        assert row["throughput"]["1"] == pytest.approx(row["runs"] / (ms.sum() / 1e3))
        assert row["load_ms"] > 0
        assert row["warmup_runs"] >= 10
        assert row["peak_bytes"] >= row["baseline_bytes"] > 5_000_000
        assert row["file_bytes"] > 50
        ratio = row["against_eager"]
        assert ratio["low"] <= ratio["ratio"] <= ratio["high"]
        assert 0 <= row["steal_percent"] <= 100
    assert rows["eager", "eager"]["against_eager"] == {"ratio": 1.0, "low": 1.0, "high": 1.0}
    assert rows["onnx-fp32", "onnxruntime"]["runner"]["spinning"] is True
    assert rows["onnx-fp32", "onnxruntime"]["computed_in"] == {"fp32": 1}
    assert rows["onnx-int8-static", "onnxruntime"]["computed_in"] is None
    assert found["machine"]["cores"] >= 1
    assert len(found["conditions"]["load_average_before"]) == 3
    control = found["control"]
    assert (control["artifact"], control["runtime"]) == ("torchscript-fp32", "torchscript")
    low, high = control["allowed"]
    assert control["steady"] == (low <= control["ratio"]["ratio"] <= high) == (not found["void"])
    assert found["void"] == any("is void" in warning for warning in report.warnings)
    assert not list(job.scratch.iterdir())
    assert not children()


def test_a_control_that_is_off_makes_the_run_void(job: Job) -> None:
    """Of two contestants one of which is another: what a disturbed control looks like."""
    item = plan(job)[1]

    def raced(ms: float, error: str | None = None) -> Raced:
        worker = SimpleNamespace(figures={}, throughput={}, error=error, turns_ms=[[ms] * 7] * 10)
        return Raced(worker, 1, [])  # type: ignore[arg-type]

    first, again, off, gone = raced(1.0), raced(1.0), raced(1.03), raced(1.03, "gone")
    assert control_of(item, first, again).steady is True
    warn_if_void(report := Silent(), control_of(item, first, again))
    assert report.warnings == []
    control = control_of(item, off, first)
    assert control.steady is False
    warn_if_void(report, control)
    assert "torchscript-fp32 in torchscript against itself came to 1.030" in report.warnings[0]
    assert control_of(item, gone, first).ratio is None
    warn_if_void(report, control_of(item, gone, first))
    assert "was not measured" in report.warnings[1]


def request(folder: Path, config: Config, inputs: Path, **model_args: float) -> Request:
    data = config.model_dump(mode="json", exclude_unset=True)
    data["model"]["args"] = model_args
    return Request(
        runtime="eager", peer=False, artifact=None, signature=SIGNATURE.to_json(),
        made_for="any", eager=Eager(data, str(folder), str(folder / "train"), None, False),
        threads=1, inputs=str(inputs), folder=str(folder), fixed_batch=None,
        warmup_runs=1, runs=64, seconds=0.01, batch_sizes=[1, 4], batch_seconds=0.01,
    )  # fmt: skip


def worked(request: Request, limit_s: float, turns: int = 1) -> Worker:
    """A worker that has done its turns and is gone."""
    with Worker(request, limit_s) as worker:
        worker.ready()
        for number in range(turns):
            worker.turn(Turn(number, 0.0, last=number == turns - 1))
    return worker


def test_turns_are_kept_apart(line: Path, config: Config, inputs: Path) -> None:
    found = worked(request(line, config, inputs), 60, turns=3)
    assert found.error is None
    assert [len(turn) >= 64 for turn in found.turns_ms] == [True] * 3
    assert list(found.throughput) == ["4"]


def test_a_crash_keeps_what_was_measured(line: Path, config: Config, inputs: Path) -> None:
    found = worked(request(line, config, inputs, bad=4), 60)
    assert found.error == "the worker was ended by SIGKILL while measuring batches of 4"
    assert len(found.turns_ms[0]) >= 64
    assert found.throughput == {}


def test_a_model_that_takes_too_long(line: Path, config: Config, inputs: Path) -> None:
    start = time.monotonic()
    found = worked(request(line, config, inputs, sleep=600), 8)
    assert time.monotonic() - start < 30
    assert found.error is not None and found.error.startswith("took more than 8 s")
    assert not children()


def test_a_model_that_raises(line: Path, config: Config, inputs: Path) -> None:
    wrong = request(line, config, inputs, colour=1)
    assert "unexpected keyword argument 'colour'" in str(worked(wrong, 60).error)


def test_a_mistake_of_ours_in_a_worker_is_no_row(line: Path, config: Config, inputs: Path) -> None:
    """It ends the run."""
    missing = dataclasses.replace(
        request(line, config, inputs), eager=None, runtime="nothing", artifact="x"
    )
    with pytest.raises(WorkerError, match="in a worker: KeyError: 'nothing'"):
        worked(missing, 60)


def test_a_fixed_batch_is_all_that_is_measured(line: Path, config: Config, inputs: Path) -> None:
    fixed = dataclasses.replace(request(line, config, inputs), fixed_batch=3)
    raced = Raced(worked(fixed, 60), fixed.batch, [])
    assert raced.figures.error is None
    assert raced.figures.batch == 3
    assert list(raced.figures.throughput) == ["3"]


def test_nothing_to_measure_is_an_error(job: Job) -> None:
    for stage in ("export", "quantize"):
        write_index(job.inputs[stage], [])
    with pytest.raises(UsageError, match="nothing to measure"):
        bench.run(job)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent(line: Path, job_script: Path, how: signal.Signals) -> None:
    text = (line / "pipeline.toml").read_text(encoding="utf-8")
    text = text.replace("[data]", "args = { sleep = 600.0 }\n[data]")
    (line / "pipeline.toml").write_text(text, encoding="utf-8")
    assert load_config(line).model.args == {"sleep": 600.0}
    parent = subprocess.Popen(
        [sys.executable, "-P", str(job_script), str(line)], stderr=subprocess.DEVNULL
    )
    try:
        worker = _worker_of(parent.pid)
        os.kill(parent.pid, how)
        assert parent.wait(20) != 0
        assert psutil.wait_procs([worker], timeout=20)[1] == []
    finally:
        parent.kill()
        parent.wait()


def _worker_of(parent: int) -> psutil.Process:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in psutil.Process(parent).children(recursive=True):
            # Others come and go while we look (lscpu, nvidia-smi).
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if "pipeline.bench.worker" in " ".join(child.cmdline()):
                    return child
        time.sleep(0.05)
    raise AssertionError("no worker was started")
