"""What every runtime promises: arrays in, copies out, one line of error, settings put back."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from pipeline.errors import SetupError, UsageError
from pipeline.formats.torchscript.write import save_clean
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.runtimes import RUNTIMES, Asked, Runtime, failure, usable
from pipeline.runtimes.eager import EagerRunner
from pipeline.runtimes.torchscript import engine_for
from pipeline.system.machine import made_for

SIGNATURE = Signature(
    (TensorSpec("x", "float32", (None, 3)),),
    (TensorSpec("y", "float32", (None, 3)), TensorSpec("z", "float32", (3,), batch_axis=None)),
)


class Same(nn.Module):
    """Gives its input and a constant of its own: the answers most likely to be shared."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("constant", torch.arange(3.0))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, self.constant  # type: ignore[return-value]


def as_onnx() -> bytes:
    constant = onnx.numpy_helper.from_array(np.arange(3, dtype=np.float32), "c")
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in (("x", "y"), ("c", "z"))]
    tensors = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)  # type: ignore[arg-type]
        for name, shape in (("x", ["n", 3]), ("y", ["n", 3]), ("z", [3]))
    }
    graph = helper.make_graph(
        nodes, "same", [tensors["x"]], [tensors["y"], tensors["z"]], [constant]
    )
    opsets = [helper.make_opsetid("", 18)]
    content: bytes = helper.make_model(
        graph, opset_imports=opsets, ir_version=10
    ).SerializeToString()
    return content


def as_torchscript() -> bytes:
    return save_clean(torch.jit.trace(Same(), torch.zeros(2, 3)))


@pytest.fixture(params=list(RUNTIMES))
def runtime(request: pytest.FixtureRequest) -> Runtime:
    runtime = RUNTIMES[request.param]
    lack = runtime.why_not()
    if lack and runtime.emulates:
        pytest.skip(lack)
    return runtime


@pytest.fixture
def artifact(runtime: Runtime, tmp_path: Path) -> Path:
    path = tmp_path / "a mødel"
    path.write_bytes(as_onnx() if runtime.format == "onnx" else as_torchscript())
    return path


def test_answers_belong_to_the_caller(runtime: Runtime, artifact: Path) -> None:
    runner = runtime.open(artifact, Asked(SIGNATURE, 1))
    given = np.ones((2, 3), np.float32)
    first = runner.run([given])
    assert [answer.tolist() for answer in first] == [[[1.0] * 3] * 2, [0.0, 1.0, 2.0]]
    for answer in first:
        answer[...] = 7.0  # neither the input nor the model may feel this
    assert (given == 1.0).all()
    second = runner.run([given + 1])
    assert [answer.tolist() for answer in second] == [[[2.0] * 3] * 2, [0.0, 1.0, 2.0]]
    assert (first[0] == 7.0).all()
    runner.close()
    assert second[1].tolist() == [0.0, 1.0, 2.0]


class Writes(nn.Module):
    """Changes what it is given, through a view."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x[..., 1:].mul_(2.0)
        return x, x[0]


@pytest.mark.parametrize("name", ["eager", "torchscript", "cpp-libtorch"])
def test_inputs_stay_as_the_caller_has_them(name: str, tmp_path: Path) -> None:
    path = tmp_path / "writes.pt"
    path.write_bytes(save_clean(torch.jit.trace(Writes(), torch.ones(2, 3))))
    if name == "eager":
        runner: Any = EagerRunner(Writes(), 1)  # type: ignore[arg-type]
    elif lack := RUNTIMES[name].why_not():
        pytest.skip(lack)
    else:
        runner = RUNTIMES[name].open(path, Asked(SIGNATURE, 1))
    given = np.ones((2, 3), np.float32)
    for _ in range(2):
        assert runner.run([given])[0].tolist() == [[1.0, 2.0, 2.0]] * 2
        assert (given == 1.0).all()
    runner.close()


def test_it_says_what_it_runs_on(runtime: Runtime, artifact: Path) -> None:
    runner = runtime.open(artifact, Asked(SIGNATURE, 2))
    found = runner.describe()
    assert (found["runtime"], found["threads"]) == (runtime.name, 2)
    runner.close()


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04"])
def test_a_file_that_is_none(runtime: Runtime, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(RuntimeError) as caught:
        runtime.open(path, Asked(SIGNATURE, 1))
    assert_is_a_line(str(caught.value), tmp_path)


@pytest.mark.parametrize(
    "inputs",
    [[], [np.ones((2, 3), np.float64)] * 2, [np.ones((2, 3), np.float32)] * 2],
    ids=["none", "two of another type", "two"],
)
def test_inputs_that_do_not_fit(runtime: Runtime, artifact: Path, inputs: list[Any]) -> None:
    runner = runtime.open(artifact, Asked(SIGNATURE, 1))
    with pytest.raises(RuntimeError) as caught:
        runner.run(inputs)
    assert_is_a_line(str(caught.value), artifact.parent)
    runner.close()


def assert_is_a_line(said: str, folder: Path) -> None:
    assert said.strip()
    assert "\n" not in said
    assert len(said) <= 300
    assert str(folder) not in said


def test_torch_settings_are_put_back(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(as_torchscript())
    torch.set_num_threads(1)
    engine = torch.backends.quantized.engine
    runner = RUNTIMES["torchscript"].open(path, Asked(SIGNATURE, 2, "arm64"))
    assert torch.get_num_threads() == 2
    assert torch.backends.quantized.engine == "qnnpack"
    runner.close()
    assert (torch.get_num_threads(), torch.backends.quantized.engine) == (1, engine)
    path.write_bytes(b"nothing")
    with pytest.raises(RuntimeError):
        RUNTIMES["torchscript"].open(path, Asked(SIGNATURE, 2, "arm64"))
    assert (torch.get_num_threads(), torch.backends.quantized.engine) == (1, engine)


def test_engines() -> None:
    assert engine_for("arm64") == "qnnpack"
    assert engine_for("any") == engine_for(made_for())
    assert engine_for("riscv64") == engine_for(made_for())


def test_only_a_session_alone_spins(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(as_onnx())
    for alone in (False, True):
        runner = RUNTIMES["onnxruntime"].open(path, Asked(SIGNATURE, 1, alone=alone))
        assert runner.describe()["spinning"] is alone
        runner.close()


def test_usable() -> None:
    assert [runtime.name for runtime in usable((), "onnx")] == ["onnxruntime", "cpp-onnxruntime"]
    assert usable(("torchscript",), "onnx") == []
    with pytest.raises(UsageError, match="no runtime 'tensorflow'"):
        usable(("tensorflow",), "onnx")


def test_a_runtime_that_cannot_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.runtimes.onnxruntime.why_not", lambda: "it is not installed")
    assert [runtime.name for runtime in usable((), "onnx")] == ["cpp-onnxruntime"]
    with pytest.raises(SetupError, match="onnxruntime cannot run here: it is not installed"):
        usable(("onnxruntime",), "onnx")


def test_failures_are_one_line() -> None:
    path = Path("/somewhere/model.onnx")
    torchs = RuntimeError("The following failed.\nTraceback\nfile(1): f\nRuntimeError: the cause\n")
    assert str(failure(torchs, path)) == "the cause"
    orts = Exception(
        "[ONNXRuntimeError] : 1 : FAIL : Load model from /somewhere/model.onnx failed:"
        "/onnxruntime_src/a/b.cc:177 no graph"
    )
    assert str(failure(orts, path)) == "Load model from model.onnx failed:no graph"
    assert str(failure(ValueError(), path)) == "ValueError"
    long = str(failure(ValueError("x" * 200 + "y" * 200 + "the end"), path))
    assert len(long) <= 300
    assert long.endswith("the end")
