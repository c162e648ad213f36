"""Real rows, real processes, and what is left of them: nothing."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline import bench
from pipeline.artifacts import read_json, write_index
from pipeline.bench.request import Eager, Request
from pipeline.bench.spawn import run_worker
from pipeline.config import Config
from pipeline.config_file import load_config
from pipeline.errors import UsageError
from pipeline.progress import Silent
from pipeline.signature import Signature
from pipeline.stage import Job


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
    for runtime, said in (("onnxruntime", "failed"), ("cpp-onnxruntime", "unsafe-model")):
        broken = rows.pop(("onnx-int8-static", runtime))
        assert said in broken["error"]
        assert str(job.out.parent) not in broken["error"]
        assert (broken["p50_ms"], broken["latencies_ms"], broken["throughput"]) == (None, [], {})
    assert summary["rows"] == 7
    assert summary["errors"] == 2
    assert any("was not measured" in warning for warning in report.warnings)
    for row in rows.values():
        assert row["error"] is None
        assert row["threads"] == 2  # as torch and onnxruntime say themselves
        assert row["runs"] == len(row["latencies_ms"]) >= 64
        assert row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"] <= max(row["latencies_ms"])
        assert row["p50_ms"] in row["latencies_ms"]
        assert set(row["throughput"]) == {"1", "4"}
        seconds = sum(row["latencies_ms"]) / 1e3
        assert row["throughput"]["1"] == pytest.approx(row["runs"] / seconds)
        assert row["load_ms"] > 0
        assert row["peak_bytes"] >= row["baseline_bytes"] > 5_000_000
        assert row["file_bytes"] > 50
    assert rows["onnx-fp32", "onnxruntime"]["runner"]["spinning"] is True
    assert found["machine"]["cores"] >= 1
    assert len(found["load_average"]) == 3
    assert not list(job.scratch.iterdir())
    assert not psutil.Process().children(recursive=True)


def request(folder: Path, config: Config, inputs: Path, **model_args: float) -> Request:
    data = config.model_dump(mode="json", exclude_unset=True)
    data["model"]["args"] = model_args
    return Request(
        runtime="eager", artifact=None, signature=Signature((), ()).to_json(), made_for="any",
        eager=Eager(data, str(folder), str(folder / "train"), None, False),
        threads=1, inputs=str(inputs), result=str(folder / "result.json"), fixed_batch=None,
        warmup_runs=1, runs=64, seconds=0.01, batch_sizes=[1, 4],
    )  # fmt: skip


def test_a_crash_keeps_what_was_measured(line: Path, config: Config, inputs: Path) -> None:
    found = run_worker(request(line, config, inputs, bad=4), 60)
    assert found["error"] == "the worker was ended by SIGKILL while measuring batches of 4"
    assert len(found["latencies_ms"]) >= 64
    assert list(found["throughput"]) == ["1"]


def test_a_model_that_takes_too_long(line: Path, config: Config, inputs: Path) -> None:
    start = time.monotonic()
    found = run_worker(request(line, config, inputs, sleep=600), 8)
    assert time.monotonic() - start < 30
    assert found["error"].startswith("took more than 8 s")
    assert not psutil.Process().children(recursive=True)


def test_a_model_that_raises(line: Path, config: Config, inputs: Path) -> None:
    wrong = request(line, config, inputs, colour=1)
    found = run_worker(wrong, 60)
    assert "unexpected keyword argument 'colour'" in found["error"]
    missing = dataclasses.replace(wrong, eager=None, runtime="nothing", artifact="x")
    assert "KeyError: 'nothing'" in run_worker(missing, 60)["error"]


def test_a_fixed_batch_is_all_that_is_measured(line: Path, config: Config, inputs: Path) -> None:
    fixed = dataclasses.replace(request(line, config, inputs), fixed_batch=3)
    found = run_worker(fixed, 60)
    assert found["error"] is None
    assert found["batch"] == 3
    assert list(found["throughput"]) == ["3"]


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
