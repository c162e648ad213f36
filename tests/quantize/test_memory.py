"""Peak memory of real processes: of calibration, and of weight-only quantization."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.quantize.quantize_cases import Exported, export

pytestmark = pytest.mark.full

RESNET = """
name = "resnet"
[model]
entry = "torchvision:resnet18"
args = { num_classes = 10 }
[input]
kind = "image"
size = [64, 64]
[output]
kind = "classification"
[export]
formats = ["onnx"]
"""

CALIBRATES = """
import resource, sys
from pathlib import Path
from pipeline.quantize.make import OnnxMaker
from tests.quantize.quantize_cases import Exported
from tests.quantize.test_search import task_of

task = task_of(Exported(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3])
observed = OnnxMaker(task).calibrate("").observed
print(observed.samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

WEIGHTS = """
import resource, sys
from pathlib import Path
from pipeline.workspace.artifacts import Artifact
from pipeline.config import Config
from pipeline.quantize.onnx.int8_weights import with_bits
from pipeline.quantize.recipes import Task
from pipeline.graph.signature import Signature

path = Path(sys.argv[1])
config = Config.model_validate({"model": {"onnx": "x.onnx"}})
source = Artifact("onnx-fp32", "onnx", "fp32", None, "", 0, "", 18)
task = Task(config, source, path, Signature((), ()), path.parent, path.parent, None, "x86_64")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
made = with_bits(task, int(sys.argv[2]))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(len(made.data), (after - before) * 1024)
"""


def said(code: str, *arguments: object) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    return [int(number) for number in done.stdout.split()]


@pytest.fixture(scope="module")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("resnet")
    (folder / "pipeline.toml").write_text(RESNET)
    return export(folder)


def test_calibration_of_1024_samples_takes_no_more_than_of_64(
    resnet: Exported, tmp_path: Path
) -> None:
    peaks = []
    for count in (64, 1024):
        key = f"quantize.calibration_samples={count}"
        samples, peak = said(CALIBRATES, resnet.folder, tmp_path / str(count), key)
        assert samples == count
        peaks.append(peak)
    assert peaks[1] < 1.1 * peaks[0], peaks


@pytest.mark.parametrize(("bits", "share"), [(8, 0.29), (4, 0.17)])
def test_weights_alone_take_less_than_twice_the_model(
    tmp_path: Path, bits: int, share: float
) -> None:
    size, depth = 2048, 16
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=(size, size)).astype(np.float32), f"w{index}")
        for index in range(depth)
    ]
    nodes = [
        helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"], f"m{i}") for i in range(depth)
    ]
    ends = [helper.make_tensor_value_info(f"x{i}", 1, ["batch", size]) for i in (0, depth)]
    graph = helper.make_graph(nodes, "large", ends[:1], ends[1:], weights)
    path = tmp_path / "large.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    made, extra = said(WEIGHTS, path, bits)
    whole = path.stat().st_size
    assert made < share * whole
    assert extra < 2 * whole, extra / whole
