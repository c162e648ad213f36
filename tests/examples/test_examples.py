"""Each example from training to its bundle, in a copied folder, as a user runs it."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from pipeline.bundle import Bundle, open_bundle
from tests.conftest import Cli

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RUNTIMES = {"torchscript", "cpp-libtorch", "onnxruntime", "cpp-onnxruntime"}
FP32_ERROR = 1e-4
QUICK_BENCH = (
    *("--set", "bench.seconds=0.05", "--set", "bench.batch_sizes=[1]"),
    *("--set", 'bench.runtimes=["onnxruntime"]'),
)


@dataclass(frozen=True)
class Example:
    """What an example is known to reach. Accuracies are those of all its validation samples."""

    name: str
    accuracy: float
    artifacts: frozenset[str]
    searched: bool = False  # int8 is measured first: what is slower here is not there


FLOAT = {"onnx-fp32", "torchscript-fp32"}
STATIC = {"onnx-int8-static", "torchscript-int8-static", "onnx-fp16"}
DYNAMIC = {"onnx-int8-dynamic", "torchscript-int8-dynamic"}
KNOWN = (
    Example("digits", 0.97, frozenset(FLOAT | STATIC)),
    Example("tabular", 0.95, frozenset(FLOAT | STATIC | DYNAMIC)),
    Example("mobilenet", 0.95, frozenset(FLOAT | STATIC), searched=True),
)


@dataclass(frozen=True)
class Finished:
    """An example after `pipeline run`. `home` is the folder that holds all of it."""

    example: Example
    home: Path
    result: Mapping[str, Any]

    def read(self, stage: str, file: str) -> dict[str, Any]:
        text = Path(self.result["workspace"], stage, file).read_text(encoding="utf-8")
        return dict(json.loads(text))

    def rows(self, precision: str) -> list[dict[str, Any]]:
        verdict = self.read("verify", "verdict.json")
        return [row for row in verdict["rows"] if row["precision"] == precision]

    def bundle(self) -> Bundle:
        return open_bundle(Path(self.result["bundle"]))


def run(cli: Cli, home: Path, name: str, *arguments: str | Path) -> dict[str, Any]:
    folder = home / "exämples folder" / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("runs", "__pycache__"))
    done = cli("run", "-c", folder, "--json", *QUICK_BENCH, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(
    scope="module",
    params=[*KNOWN[:2], pytest.param(KNOWN[2], marks=pytest.mark.full)],
    ids=[example.name for example in KNOWN],
)
def finished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cli: Cli
) -> Finished:
    example: Example = request.param
    home = tmp_path_factory.mktemp(example.name)
    result = run(cli, home, example.name, "--workspace", home / "work spæce")
    return Finished(example, home, result)


def test_it_has_learned(finished: Finished) -> None:
    metric = finished.read("train", "train.json")["metric"]
    assert metric["name"] == "Accuracy"
    assert metric["value"] >= finished.example.accuracy


def test_every_artifact_answers_as_the_model_does(finished: Finished) -> None:
    verdict = finished.read("verify", "verdict.json")
    assert finished.result["verdict"] == verdict["verdict"] == "pass"
    assert verdict["samples"] >= 256
    assert not verdict["synthetic"]
    made = {row["artifact"] for row in verdict["rows"]}
    if finished.example.searched:
        said = finished.read("quantize", "quantize.json")["searches"]
        held = {search["format"] for search in said if search["held_back"]}
        assert made == {a for a in finished.example.artifacts if "int8" not in a} | {
            f"{search['format']}-{search['shipped']}" for search in said if not search["held_back"]
        }
        assert "onnx" not in held
    else:
        assert made == finished.example.artifacts
    for row in verdict["rows"]:
        assert row["verdict"] == "pass", row["reasons"]
        assert row["edges"]


def test_float_answers_are_the_models(finished: Finished) -> None:
    rows = finished.rows("fp32")
    assert {row["runtime"] for row in rows} == RUNTIMES
    for row in rows:
        assert row["max_abs"] <= FP32_ERROR
        assert row["top1"] == 1.0
        assert row["drop"] == 0.0


def test_int8_costs_at_most_a_point(finished: Finished) -> None:
    rows = finished.rows("int8")
    assert rows
    for row in rows:
        assert row["max_abs"] > FP32_ERROR  # it is not float under another name
        assert row["drop"] <= 0.01 + 1e-6


def test_the_bundle_opens_and_its_samples_have_the_answers(finished: Finished) -> None:
    bundle = finished.bundle()
    assert bundle.manifest.name == finished.example.name
    assert not bundle.manifest.allow_failed
    verified = {row["artifact"] for row in finished.read("verify", "verdict.json")["rows"]}
    assert {a.id for a in bundle.manifest.artifacts} == verified
    file = bundle.artifact("onnx-fp32").file
    session = onnxruntime.InferenceSession(bundle.load(file), providers=["CPUExecutionProvider"])
    for sample in bundle.manifest.golden:
        inputs = [bundle.array(tensor) for tensor in sample.inputs]
        names = [given.name for given in session.get_inputs()]
        (answer,) = session.run(None, dict(zip(names, inputs, strict=True)))
        assert np.abs(answer - bundle.array(sample.outputs[0])).max() <= FP32_ERROR


def test_nothing_in_the_bundle_names_the_folder_it_was_made_in(finished: Finished) -> None:
    traces = [finished.home.name.encode(), "exämples folder".encode(), "work spæce".encode()]
    assert traces_in(Path(finished.result["bundle"]), traces) == []


def traces_in(folder: Path, traces: Sequence[bytes]) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files for trace in traces if trace in path.read_bytes()]


@pytest.mark.full
def test_digits_made_elsewhere_are_the_same_bytes(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, cli: Cli
) -> None:
    """From the training on, with other surroundings; `[train] threads` is set in the example. What
    comes first is named, and int8 ships whatever it measures."""
    first, second = tmp_path_factory.mktemp("one"), tmp_path / "zwei ä"
    named = ("--set", "quantize.gate=false", "--set", "package.first=onnx-fp32")
    quick = ("--set", "train.epochs=1", *named, "--allow-failed")
    bundles = [run(cli, home, "digits", *quick)["bundle"] for home in (first, second)]
    contents = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in map(Path, bundles)
    ]
    assert contents[0].keys() == contents[1].keys()
    assert [str(name) for name in contents[0] if contents[0][name] != contents[1][name]] == []
