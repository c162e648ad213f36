"""`edge-runner bench` against the same in Python."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.graph.signature import Signature, TensorSpec
from pipeline.measure.timing.percentiles import summary
from pipeline.runtimes import Asked
from pipeline.runtimes.cpp_draft import write_draft
from pipeline.runtimes.cpp_process import command

LINE = Signature((TensorSpec("x", "float32", (None, 3)),), (TensorSpec("y", "float32", (None, 2)),))


@pytest.mark.parametrize("runs", [64, 100, 661, 662, 5000])
def test_both_make_the_same_of_the_same_runs(line: Path, runs: int) -> None:
    draft = line / "draft.bundle"
    samples = [[np.full((1, 3), index, np.float32)] for index in range(4)]
    write_draft(draft, line / "export" / "model.fp32.onnx", "onnx", LINE, "any", samples)
    options = ("--json", "--runs", str(runs), "--seconds", "0", "--warm-up", "0", "--seed", "7")
    words = command("bench", draft, "onnx", Asked(LINE, 1), *options)
    found = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    ours = summary(found["latencies_ms"])
    assert {name: found[name] for name in ours} == ours
    assert found["runs"] == runs
    assert found["warmup_runs"] == 10
    assert (found["p99_ms"] is None) == (runs < 662)
