"""A project of one linear layer, with artifacts of it that need no exporter."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from pipeline.config import Config
from pipeline.config.file import load_config
from pipeline.formats.torchscript.write import save_clean
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.project.weights import WEIGHTS, save_weights
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import SIGNATURE, Artifact, sha256_of, write_index, write_json
from pipeline.workspace.stage import Job

CODE = """
import os, signal, time
import numpy as np
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self, bad=0, sleep=0.0):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.bad, self.sleep = bad, sleep
    def forward(self, x):
        print("noise that no reader of results may trip over", flush=True)
        time.sleep(self.sleep)
        if x.shape[0] == self.bad:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.layer(x)

class Rows:
    def __len__(self): return 10
    def __getitem__(self, index):
        return np.full(3, index, np.float32), np.float32(index)

def build_data(): return {"validation": Rows()}
"""

CONFIG = """
name = "line"
[model]
entry = "random.py:Model"
[data]
entry = "random.py:build_data"
[output]
kind = "regression"
[bench]
threads = 2
seconds = 0.05
batch_sizes = [1, 4]
"""


def as_onnx(model: torch.nn.Linear) -> bytes:
    weight = onnx.numpy_helper.from_array(model.weight.detach().numpy(), "w")
    bias = onnx.numpy_helper.from_array(model.bias.detach().numpy(), "b")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)],
        "line",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [weight, bias],
    )
    opset = helper.make_opsetid("", 18)
    content: bytes = helper.make_model(
        graph, opset_imports=[opset], ir_version=10
    ).SerializeToString()
    return content


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """The project's folder; its module has the name of one of Python's on purpose."""
    folder = tmp_path / "a line"
    for stage in ("train", "export", "quantize", "scratch", "bench"):
        (folder / stage).mkdir(parents=True)
    (folder / "random.py").write_text(CODE, encoding="utf-8")
    (folder / "pipeline.toml").write_text(CONFIG, encoding="utf-8")
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    save_weights(torch.nn.ModuleDict({"layer": layer}), folder / "train" / WEIGHTS)
    signature = Signature(
        (TensorSpec("x", "float32", (None, 3)),), (TensorSpec("y", "float32", (None, 2)),)
    )
    write_json(folder / "export" / SIGNATURE, signature.to_json())
    artifacts = [
        artifact(
            folder / "export",
            "torchscript",
            "fp32",
            None,
            save_clean(torch.jit.trace(layer, torch.zeros(2, 3))),
        ),
        artifact(folder / "export", "onnx", "fp32", None, as_onnx(layer)),
    ]
    write_index(folder / "export", artifacts)
    broken = artifact(folder / "quantize", "onnx", "int8", "int8-static", b"nothing")
    write_index(folder / "quantize", [broken])
    return folder


def artifact(folder: Path, format: Any, precision: Any, recipe: Any, content: bytes) -> Artifact:
    file = folder / f"model.{recipe or precision}.{format}"
    file.write_bytes(content)
    name = f"{format}-{recipe or precision}"
    return Artifact(name, format, precision, recipe, file.name, len(content), sha256_of(file), 18)


@pytest.fixture
def config(line: Path) -> Config:
    return load_config(line)


@pytest.fixture
def inputs(line: Path) -> Path:
    path = line / "inputs.npz"
    np.savez(path, **{f"{index}.0": np.full(3, index, np.float32) for index in range(10)})  # type: ignore[arg-type]
    return path


JOB = """
import sys
from pathlib import Path
from pipeline import bench
from pipeline.config.file import load_config
from pipeline.system.progress import Silent
from pipeline.workspace.stage import Job
folder = Path(sys.argv[1])
inputs = {name: folder / name for name in ("train", "export", "quantize")}
config = load_config(folder)
bench.run(Job(config, inputs, folder / "bench", folder / "scratch", Silent()))
"""


@pytest.fixture
def job_script(line: Path) -> Path:
    path = line / "job_script.py"
    path.write_text(JOB, encoding="utf-8")
    return path


@pytest.fixture
def report() -> Silent:
    return Silent()


@pytest.fixture
def job(line: Path, config: Config, report: Silent) -> Job:
    inputs = {name: line / name for name in ("train", "export", "quantize")}
    return Job(config, inputs, line / "bench", line / "scratch", report)
