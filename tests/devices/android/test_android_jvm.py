"""The app's core on this machine's JVM: rows on all samples, and the same bits as in Python."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.bundle import open_bundle
from pipeline.devices.android import jvm
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.runtimes import RUNTIMES, Asked
from pipeline.system.progress import Silent
from tests.conftest import Cli
from tests.devices.android.conftest import Project

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[2] / "golden" / "bundle-v1"
ROW = "jvm-onnxruntime"
SIGNATURE = Signature(
    (TensorSpec("image", "uint8", (None, None, None, 1)),),
    (TensorSpec("probabilities", "float32", (None, 3)),),
)


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    jvm.build(Silent())


def test_the_same_bits_as_in_python() -> None:
    rng = np.random.default_rng(1)
    for artifact in open_bundle(GOLDEN).manifest.artifacts:
        if artifact.format != "onnx":
            continue
        asked = Asked(SIGNATURE, 1, artifact.made_for)
        here, there = (
            RUNTIMES[name].open(GOLDEN / artifact.file, asked) for name in ("onnxruntime", ROW)
        )
        try:
            for shape in ((1, 8, 8, 1), (7, 8, 8, 1), (1, 13, 5, 1)):
                picture = rng.integers(0, 256, shape, dtype=np.uint8)
                (wanted,), (given,) = (one.run([picture.copy()]) for one in (here, there))
                assert given.shape == wanted.shape
                assert given.tobytes() == wanted.tobytes()
            assert there.describe()["version"] == here.describe()["version"]
        finally:
            here.close()
            there.close()


def test_rows_on_all_samples(project: Project, cli: Cli) -> None:
    names = ("--set", f'verify.runtimes=["onnxruntime", "torchscript", "{ROW}"]')
    done = cli("verify", "-c", project.folder, *names)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = project.json("verify/verdict.json")
    rows = {(row["artifact"], row["runtime"]): row for row in verdict["rows"]}
    for artifact in project.artifacts("onnx"):
        app, python = rows[artifact.id, ROW], rows[artifact.id, "onnxruntime"]
        assert app["verdict"] == "pass"
        assert app["outputs"] == python["outputs"]
        assert app["metric"] == python["metric"]
        assert [edge["verdict"] for edge in app["edges"]] == [
            edge["verdict"] for edge in python["edges"]
        ]


def test_it_is_asked_where_somebody_asks(project: Project, cli: Cli) -> None:
    done = cli("verify", "-c", project.folder, "--with", "jvm", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    runner = json.loads((project.workspace / "verify" / "record.json").read_text())["ingredients"][
        "runner"
    ]
    assert jvm.stamp() in runner
    found = {row["runtime"] for row in project.json("verify/verdict.json")["rows"]}
    assert found == {"onnxruntime", "torchscript", ROW}


def test_an_end_of_the_program_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jvm, "MAIN", "dev.edgepipeline.jvm.Nowhere")
    asked = Asked(SIGNATURE, 1)
    artifact = next(a for a in open_bundle(GOLDEN).manifest.artifacts if a.format == "onnx")
    with pytest.raises(RuntimeError, match=r"the app's core was ended by exit 1: .*Nowhere"):
        RUNTIMES[ROW].open(GOLDEN / artifact.file, asked)


def test_builds_that_nobody_asked_for_lately_go(tmp_path: Path) -> None:
    for number in range(jvm.KEPT + 2):
        (tmp_path / f"jvm-{number}").mkdir()
        os.utime(tmp_path / f"jvm-{number}", (1000 - number, 1000 - number))
    (tmp_path / "debug.keystore").touch()
    jvm.prune(tmp_path)
    kept = {f"jvm-{number}" for number in range(jvm.KEPT)}
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "debug.keystore"}
