"""The package stage: what goes into a bundle, what is refused, and that it is always the same."""

import getpass
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from pipeline.artifacts import read_index, write_index
from pipeline.bundle import read_bundle
from pipeline.errors import DamagedError, UsageError, VerdictError
from pipeline.package.choice import without_paths
from pipeline.package.golden import resized
from pipeline.progress import Silent
from pipeline.runtimes.eager import EagerRunner, reference_model
from pipeline.samples import load_samples
from tests.package.conftest import Made

# What is in a bundle


def test_everything_is_in_the_bundle(bundle: Path, stages: Made) -> None:
    manifest = read_bundle(bundle).manifest
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
    assert manifest.producer.onnxruntime == "1.29.0"


def test_what_verify_measured_is_written_unrounded(bundle: Path, stages: Made) -> None:
    manifest = read_bundle(bundle).manifest
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
    opened = read_bundle(bundle)
    runner = EagerRunner(reference_model(stages.config, stages.inputs["train"]), 1)
    for sample in opened.manifest.golden:
        [answer] = runner.run([opened.array(tensor).copy() for tensor in sample.inputs])
        assert (answer == opened.array(sample.outputs[0])).all()
        assert sample.inputs[0].shape[0] == sample.outputs[0].shape[0] == 1
    runner.close()


def test_golden_samples_are_real_and_of_different_classes(bundle: Path, stages: Made) -> None:
    opened = read_bundle(bundle)
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
    opened = read_bundle(made.pack(tmp_path / "out"))
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
    opened = read_bundle(several)
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
from pipeline.config import load_config
from pipeline.progress import Silent
from pipeline.stage import Job

project, work, out = map(Path, sys.argv[1:])
inputs = {name: work / name for name in ("train", "export", "quantize", "verify", "bench")}
out.mkdir()
package.run(Job(load_config(project), inputs, out, out.parent, Silent()))
"""


def test_two_folders_users_and_places_give_the_same_bytes(
    stages: Made, bundle: Path, tmp_path: Path
) -> None:
    home = tmp_path / "another place"
    shutil.copytree(stages.config.root, home / "project")
    shutil.copytree(stages.folder, home / "stages")
    bench = home / "stages" / "bench" / "bench.json"
    bench.write_text(bench.read_text().replace("1000.0", "2000.0"))  # timings always differ
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


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (
            stat.S_IMODE(path.stat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


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


# The verdict


def failing(made: Made, artifact_id: str) -> None:
    verdict = made.verdict
    for row in verdict["rows"]:
        if row["artifact"] == artifact_id:
            said = f"cannot be opened: '{made.folder}/model.onnx' is no model"
            row |= {"verdict": "fail", "reasons": [said], "max_abs": float("nan")}
    made.write_verdict({**verdict, "verdict": "fail"})


def test_a_failed_verdict_is_refused(made: Made, tmp_path: Path) -> None:
    failing(made, "onnx-fp32")
    with pytest.raises(VerdictError, match="onnx-fp32 in onnxruntime: cannot be opened") as refused:
        made.pack(tmp_path / "out")
    assert refused.value.exit_code == 1
    assert "--allow-failed" in (refused.value.hint or "")
    assert not (tmp_path / "out" / "tiny.bundle").exists()


def test_a_failed_verdict_is_packed_on_demand_and_says_so(made: Made, tmp_path: Path) -> None:
    failing(made, "onnx-fp32")
    bundle = made.with_package(allow_failed=True).pack(tmp_path / "out")
    manifest = read_bundle(bundle).manifest
    assert manifest.allow_failed
    assert manifest.verdict == "fail"
    artifact = read_bundle(bundle).artifact("onnx-fp32")
    assert artifact.verdict == "fail"
    assert artifact.results[0].reasons == ("cannot be opened: 'model.onnx' is no model",)
    assert artifact.results[0].max_abs is None
    card = (bundle / "README.md").read_text()
    assert "**Verdict: fail.**" in card
    assert "cannot be opened" in card


def test_allowing_failures_changes_nothing_where_there_is_none(
    made: Made, bundle: Path, tmp_path: Path
) -> None:
    allowed = made.with_package(allow_failed=True).pack(tmp_path / "out")
    assert contents(allowed) == contents(bundle)


def test_a_failed_fp32_artifact_is_refused_whatever_the_verdict(made: Made, tmp_path: Path) -> None:
    failing(made, "onnx-fp32")
    made.write_verdict({**made.verdict, "verdict": "pass"})
    with pytest.raises(VerdictError, match="onnx-fp32"):
        made.pack(tmp_path / "out")


def test_an_artifact_that_nobody_ran_is_left_out(made: Made, tmp_path: Path) -> None:
    verdict = made.verdict
    rows = [row for row in verdict["rows"] if row["artifact"] != "torchscript-fp32"]
    made.write_verdict({**verdict, "rows": rows})
    report = Silent()
    manifest = read_bundle(made.pack(tmp_path / "out", report)).manifest
    assert [artifact.id for artifact in manifest.artifacts] == ["onnx-fp32"]
    assert report.warnings == ["torchscript-fp32 is left out: no runtime here has run it."]
    manifest = read_bundle(made.with_package(allow_failed=True).pack(tmp_path / "all")).manifest
    assert manifest.allow_failed
    assert {a.id: a.verdict for a in manifest.artifacts} == {
        "torchscript-fp32": "inconclusive",
        "onnx-fp32": "pass",
    }
    made.write_verdict({**verdict, "rows": []})
    with pytest.raises(VerdictError, match="nothing to pack"):
        made.pack(tmp_path / "none")


# Wrong input


def test_a_changed_artifact_is_refused(made: Made, tmp_path: Path) -> None:
    path = made.inputs["export"] / "model.fp32.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DamagedError, match=r"model\.fp32\.onnx is not the file"):
        made.pack(tmp_path / "out")


def test_artifacts_of_quantize_come_behind_those_of_export(made: Made, tmp_path: Path) -> None:
    onnx = next(a for a in read_index(made.inputs["export"]) if a.format == "onnx")
    (made.inputs["quantize"] / "model.fp16.onnx").write_bytes(
        (made.inputs["export"] / onnx.file).read_bytes()
    )
    changes = {"id": "onnx-fp16", "precision": "fp16", "recipe": "fp16", "file": "model.fp16.onnx"}
    write_index(made.inputs["quantize"], [type(onnx)(**{**vars(onnx), **changes})])
    verdict = made.verdict
    row = next(row for row in verdict["rows"] if row["artifact"] == "onnx-fp32")
    verdict["rows"].append({**row, "artifact": "onnx-fp16"})
    made.write_verdict(verdict)
    manifest = read_bundle(made.pack(tmp_path / "out")).manifest
    assert manifest.artifacts[-1].id == "onnx-fp16"
    assert manifest.artifacts[-1].file == "artifacts/model.fp16.onnx"
    assert manifest.artifacts[-1].recipe == "fp16"


def test_more_golden_samples_than_fit(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"package\.golden is 600; a bundle has room for 508"):
        made.with_package(golden=600).pack(tmp_path / "out")


def test_fewer_samples_than_asked_for(made: Made, tmp_path: Path) -> None:
    bundle = read_bundle(made.with_package(golden=120).pack(tmp_path / "out"))
    assert len(bundle.manifest.golden) == 96  # all that the validation set has


@pytest.mark.parametrize("labels", [("one", "two\nlines"), ("one", "two", "three"), ("one", " ")])
def test_labels_that_do_not_fit(made: Made, tmp_path: Path, labels: tuple[str, ...]) -> None:
    output = made.config.output.model_copy(update={"labels": labels})
    wrong = Made(made.config.model_copy(update={"output": output}), made.folder)
    with pytest.raises(UsageError, match=r"output\.labels"):
        wrong.pack(tmp_path / "out")


def test_a_description_cannot_break_the_card(made: Made, tmp_path: Path) -> None:
    odd = made.with_package(description="a | b\n# no title\n<b>`x`</b>", license="[x](y)")
    bundle = odd.pack(tmp_path / "out")
    assert read_bundle(bundle).manifest.description == "a | b\n# no title\n<b>`x`</b>"
    card = (bundle / "README.md").read_text()
    assert "\n# no title" not in card
    assert "<b>" not in card.replace("\\<b", "")
    assert r"\[x\](y)" in card
