"""The package stage: what goes into a bundle, what is refused, and that it is always the same."""

import getpass
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

from pipeline.bundle import open_bundle
from pipeline.package.choice import without_paths
from pipeline.package.golden import resized
from pipeline.project.samples import load_samples
from pipeline.runner.headers import onnxruntime_version
from pipeline.runtimes.eager import EagerRunner
from pipeline.workspace.artifacts import read_json, write_json
from tests.package.conftest import Made, contents
from tests.reference import reference_model

# What is in a bundle


def test_everything_is_in_the_bundle(bundle: Path, stages: Made) -> None:
    manifest = open_bundle(bundle).manifest
    assert {artifact.id for artifact in manifest.artifacts} == {"onnx-fp32", "torchscript-fp32"}
    assert set(manifest.listed) == {
        *("artifacts/model.fp32.onnx", "artifacts/model.fp32.pt"),
        *("golden/000.input.bin", "golden/000.output.bin"),
        *("golden/001.input.bin", "golden/001.output.bin"),
        *("labels.txt", "README.md"),
    }
    assert (bundle / "labels.txt").read_text() == "upright\nlying\n"
    assert manifest.outputs[0].labels == "labels.txt"
    assert manifest.inputs[0].kind == "image"
    assert manifest.inputs[0].shape == (None, None, None, 1)
    assert manifest.producer.onnxruntime == onnxruntime_version()


def test_what_verify_measured_is_written_unrounded(bundle: Path, stages: Made) -> None:
    manifest = open_bundle(bundle).manifest
    assert manifest.verdict == "pass"
    assert not manifest.allow_failed
    for row in stages.verdict["rows"]:
        artifact = next(a for a in manifest.artifacts if a.id == row["artifact"])
        result = next(r for r in artifact.results if r.runtime == row["runtime"])
        for name in ("max_abs", "max_rel", "cosine", "sqnr_db", "top1", "metric", "drop"):
            assert getattr(result, name) == row[name]
        assert artifact.tolerances[0].model_dump() == row["tolerances"]
    assert manifest.verified.samples == stages.verdict["samples"]


def test_golden_samples_are_the_references_answers(bundle: Path, stages: Made) -> None:
    opened = open_bundle(bundle)
    runner = EagerRunner(reference_model(stages.config, stages.inputs["train"]), 1)
    for sample in opened.manifest.golden:
        [answer] = runner.run([opened.array(tensor).copy() for tensor in sample.inputs])
        assert (answer == opened.array(sample.outputs[0])).all()
        assert sample.inputs[0].shape[0] == sample.outputs[0].shape[0] == 1
    runner.close()


def test_golden_samples_are_real_and_of_different_classes(bundle: Path, stages: Made) -> None:
    opened = open_bundle(bundle)
    first, last = opened.manifest.golden
    assert {first.label, last.label} == {0, 1}
    samples = load_samples(stages.config, "validation", 1000)
    pictures = [row[0] for row in samples.inputs]
    found = opened.array(first.inputs[0])[0]
    at = next(i for i, picture in enumerate(pictures) if np.array_equal(picture, found))
    assert samples.targets is not None
    assert samples.targets[at] == first.label
    other = opened.array(last.inputs[0])[0]
    assert other.shape != found.shape
    assert any(np.array_equal(resized(picture), other) for picture in pictures)


def test_a_model_of_a_fixed_size_keeps_its_pictures(made: Made, tmp_path: Path) -> None:
    signature = made.inputs["export"] / "signature.json"
    text = re.sub(
        r'"shape": \[\s*null,\s*null,\s*null', '"shape": [null, 8, 8', signature.read_text()
    )
    signature.write_text(text)
    opened = open_bundle(made.pack(tmp_path / "out"))
    assert {sample.inputs[0].shape for sample in opened.manifest.golden} == {(1, 8, 8, 1)}


def test_resized_pictures_keep_what_they_show() -> None:
    small = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    assert resized(small).shape == (13, 11, 3)
    large = np.zeros((100, 90, 1), np.uint8)
    large[:50] = 255
    half = resized(large)
    assert half.shape == (75, 60, 1)
    assert (half[:37] == 255).all()
    assert not half[38:].any()


def test_several_inputs_and_outputs(several: Path) -> None:
    opened = open_bundle(several)
    manifest = opened.manifest
    assert [given.name for given in manifest.inputs] == ["measured", "flag"]
    assert [output.name for output in manifest.outputs] == ["sum", "positive"]
    assert [output.kind for output in manifest.outputs] == ["tensor", "tensor"]
    sample = manifest.golden[2]
    files = [tensor.file for tensor in (*sample.inputs, *sample.outputs)]
    assert files == [
        f"golden/002.{name}.bin" for name in ("input.0", "input.1", "output.0", "output.1")
    ]
    assert opened.array(sample.outputs[1]).dtype == bool
    assert sample.label is None
    assert all(len(artifact.tolerances) == 2 for artifact in manifest.artifacts)


# Always the same bytes, and none of them of this machine

PACK = """
import sys
from pathlib import Path
from pipeline import package
from pipeline.config.file import load_config
from pipeline.system.progress import Silent
from pipeline.workspace.stage import Job

project, work, out = map(Path, sys.argv[1:])
inputs = {name: work / name for name in ("train", "export", "quantize", "verify", "bench")}
out.mkdir()
package.run(Job(load_config(project), inputs, out, out.parent, Silent()))
"""


def test_two_folders_users_and_places_give_the_same_bytes(stages: Made, tmp_path: Path) -> None:
    """With `[package] first`, whatever was measured."""
    bundle = stages.with_package(first="onnx-fp32").pack(tmp_path / "package")
    home = tmp_path / "another place"
    shutil.copytree(stages.config.root, home / "project")
    shutil.copytree(stages.folder, home / "stages")
    with (home / "project" / "pipeline.toml").open("a") as file:
        file.write('first = "onnx-fp32"\n')  # [package] is the last section
    bench = read_json(home / "stages" / "bench" / "bench.json")
    bench["rows"][0]["p50_ms"] *= 20  # timings always differ
    bench["rows"][1] |= {"p50_ms": 0.1, "error": None}
    write_json(home / "stages" / "bench" / "bench.json", bench | {"void": True})
    foreign = {
        "LC_ALL": "C",
        "LANG": "de_DE",
        "TZ": "Asia/Kathmandu",
        "USER": "somebody",
        "LOGNAME": "somebody",
        "HOME": str(home),
        "PYTHONHASHSEED": "7",
    }
    subprocess.run(
        [sys.executable, "-c", PACK, home / "project", home / "stages", home / "out"],
        env={**os.environ, **foreign},
        cwd=home,
        umask=0o077,
        check=True,
        timeout=120,
    )
    assert contents(home / "out" / "tiny.bundle") == contents(bundle)


def test_nothing_of_this_machine_is_in_the_bundle(bundle: Path, stages: Made) -> None:
    words = {str(stages.config.root), str(stages.folder), str(bundle.parent), str(Path.home())}
    words |= {getpass.getuser(), socket.gethostname(), os.getcwd(), sys.prefix}
    words |= {str(Path(__file__).parents[2]), "site-packages", "tmp/", "pytest"}
    words -= {"root"}  # a word of every graph
    for path in (path for path in bundle.rglob("*") if path.is_file()):
        for name, content in unpacked(path):
            for word in words:
                assert word.encode() not in content, f"{word} in {name}"


def unpacked(path: Path) -> list[tuple[str, bytes]]:
    """The file, and the members of a TorchScript archive."""
    content = path.read_bytes()
    found = [(path.name, content)]
    if path.suffix == ".pt":
        with zipfile.ZipFile(BytesIO(content)) as archive:
            found += [(f"{path.name}/{name}", archive.read(name)) for name in archive.namelist()]
    return found


def test_a_reason_names_no_folder() -> None:
    assert without_paths("Load of '/tmp/a b/model.onnx' failed:\n  x") == (
        "Load of 'model.onnx' failed: x"
    )
    assert without_paths("in /home/me/x/m.pt: no") == "in m.pt: no"
    assert without_paths("12 samples/s, 1e-3 of 3/4") == "12 samples/s, 1e-3 of 3/4"
