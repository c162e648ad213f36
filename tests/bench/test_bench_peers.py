"""Peers on the same files, in the same run."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import bench
from pipeline.bench.peers import PEERS, peers
from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.signature import Signature
from pipeline.runtimes import Asked
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import read_json, write_index
from pipeline.workspace.stage import Job


@pytest.mark.parametrize("name", list(PEERS))
def test_a_peer_answers_as_onnx_runtime_does(line: Path, name: str) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = line / "export" / "model.fp32.onnx"
    (peer,) = peers((name,))
    runner = peer.open(path, Asked(Signature((), ()), 1))
    (ours,) = [np.array(answer) for answer in runner.run([x])]
    said = runner.describe()
    runner.close()
    import onnxruntime as ort

    (theirs,) = ort.InferenceSession(str(path)).run(None, {"x": x})
    assert np.allclose(ours, theirs, atol=1e-2 if said.get("precision") == "bf16" else 1e-5)
    assert said["threads"] == 1
    assert said["version"]


def test_peers_are_rows_of_their_own(line: Path, config: Config, report: Silent) -> None:
    settings = config.bench.model_copy(
        update={"against": ("onnxruntime", "openvino"), "runtimes": ("onnxruntime",), "threads": 1}
    )
    inputs = {name: line / name for name in ("train", "export", "quantize")}
    write_index(line / "quantize", [])
    job = Job(config.model_copy(update={"bench": settings}), inputs, line / "bench",
              line / "scratch", report)  # fmt: skip
    bench.run(job)
    rows = read_json(job.out / "bench.json")["rows"]
    assert [(row["artifact"], row["runtime"], row["peer"]) for row in rows] == [
        ("eager", "eager", False),
        ("onnx-fp32", "onnxruntime", False),
        ("onnx-fp32", "onnxruntime", True),
        ("onnx-fp32", "openvino", True),
    ]
    assert all(row["error"] is None and row["runs"] >= 64 for row in rows)


def test_an_unknown_peer() -> None:
    with pytest.raises(UsageError, match="no peer 'tvm'") as raised:
        peers(("tvm",))
    assert raised.value.hint == "Known: onnxruntime, openvino."
