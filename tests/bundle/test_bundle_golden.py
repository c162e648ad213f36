"""The frozen bundle is understood, written again to the byte, and judged by the rules."""

import io
import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from pipeline.bundle import (
    Bundle,
    Refused,
    open_bundle,
    parse,
    serialize,
    write_file,
    write_manifest,
)
from pipeline.bundle.check import check, check_output
from pipeline.bundle.codec import MAX_BYTES, ZEROS
from pipeline.bundle.manifest import Output, Tolerances
from pipeline.errors import UsageError
from pipeline.system.machine import made_for

HERE = Path(__file__).parents[1]
GOLDEN = HERE / "golden" / "bundle-v1"
SECOND = HERE / "golden" / "bundle-v2"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "a cöpy.bundle"))


# The frozen bundle


def test_the_frozen_bundle_is_what_it_was() -> None:
    bundle = open_bundle(GOLDEN)
    frozen = json.loads((HERE / "golden" / "bundle-v1.json").read_text())
    assert bundle.digest == frozen["digest"]
    assert [artifact.id for artifact in bundle.manifest.artifacts] == frozen["artifacts"]
    assert bundle.manifest.verdict == "pass"
    assert not bundle.manifest.allow_failed
    assert bundle.load("labels.txt").decode().splitlines() == frozen["labels"]


def test_the_frozen_bundle_of_schema_2_is_what_it_was() -> None:
    bundle = open_bundle(SECOND)
    frozen = json.loads((HERE / "golden" / "bundle-v2.json").read_text())
    manifest = bundle.manifest
    assert bundle.digest == frozen["digest"]
    assert [artifact.id for artifact in manifest.artifacts] == frozen["artifacts"]
    assert [port.batch_axis for port in manifest.inputs] == frozen["batch_axes"]["inputs"]
    assert [port.batch_axis for port in manifest.outputs] == frozen["batch_axes"]["outputs"]


@pytest.mark.parametrize("name", ["onnx-fp32", "onnx-int8-dynamic"])
def test_onnxruntime_answers_as_the_frozen_reference_of_schema_2(name: str) -> None:
    bundle = open_bundle(SECOND)
    artifact, manifest = bundle.artifact(name), bundle.manifest
    session = ort.InferenceSession(bundle.load(artifact.file), providers=["CPUExecutionProvider"])
    names = [port.name for port in manifest.inputs]
    given = [[bundle.array(array) for array in sample.inputs] for sample in manifest.golden]
    answers = [session.run(None, dict(zip(names, arrays, strict=True))) for arrays in given]
    assert check(bundle, artifact, answers)[0] == "pass"
    for arrays in given:
        arrays[3] = np.asarray(arrays[3] * 2)
    changed = [session.run(None, dict(zip(names, arrays, strict=True))) for arrays in given]
    assert check(bundle, artifact, changed)[0] == "fail"


@pytest.mark.parametrize("name", ["onnx-fp32", "onnx-int8-static"])
def test_onnxruntime_answers_as_the_frozen_reference(name: str) -> None:
    bundle = open_bundle(GOLDEN)
    content = bundle.load(bundle.artifact(name).file)
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    input_name = bundle.manifest.inputs[0].name
    check_answers(bundle, name, lambda x: session.run(None, {input_name: x})[0])


@pytest.mark.locked_torch
@pytest.mark.parametrize("name", ["torchscript-fp32", "torchscript-int8-static"])
def test_torch_answers_as_the_frozen_reference(name: str) -> None:
    bundle = open_bundle(GOLDEN)
    model = torch.jit.load(io.BytesIO(bundle.load(bundle.artifact(name).file))).eval()
    check_answers(bundle, name, lambda x: model(torch.from_numpy(x.copy())).detach().numpy())


def check_answers(bundle: Bundle, name: str, run) -> None:  # type: ignore[no-untyped-def]
    artifact = bundle.artifact(name)
    if artifact.made_for not in ("any", made_for()):
        pytest.skip(f"made for {artifact.made_for}")
    given = [bundle.array(sample.inputs[0]) for sample in bundle.manifest.golden]
    assert len({picture.shape for picture in given}) > 1, "pictures of one size only"
    verdict, outputs = check(bundle, artifact, [[run(picture)] for picture in given])
    assert verdict == "pass", outputs
    assert outputs[0].top1 == 1.0
    perturbed = [[run(255 - picture)] for picture in given]
    assert check(bundle, artifact, perturbed)[0] == "fail"


def test_a_golden_array_is_what_its_file_says() -> None:
    bundle = open_bundle(GOLDEN, check=False)
    tensor = bundle.manifest.golden[0].outputs[0]
    expected = np.fromfile(GOLDEN / tensor.file, "<f4").reshape(tensor.shape)
    assert (bundle.array(tensor) == expected).all()


# Writing


@pytest.mark.parametrize("folder", [GOLDEN, SECOND], ids=["schema 1", "schema 2"])
def test_serialized_and_parsed_is_the_same(folder: Path) -> None:
    content = (folder / "manifest.json").read_bytes()
    manifest = parse(content)
    assert parse(serialize(manifest)) == manifest
    assert serialize(manifest) == content
    other = manifest.model_copy(update={"description": f'Ünïcode ↘ 😀 \\ " / \n{ZEROS}'})
    assert parse(serialize(other)) == other


def test_what_is_written_can_be_read_and_has_the_same_modes(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        bundle = open_bundle(GOLDEN)
        for name in bundle.manifest.listed:
            entry = write_file(tmp_path / "b", name, bundle.load(name))
            assert entry.sha256 == bundle.manifest.listed[name].sha256
        write_manifest(tmp_path / "b", bundle.manifest)
    finally:
        os.umask(before)
    assert open_bundle(tmp_path / "b").digest == bundle.digest
    for path in [tmp_path / "b", *(tmp_path / "b").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644)


def test_a_writer_takes_no_name_that_a_reader_refuses(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not portable"):
        write_file(tmp_path / "b", "../a.txt", b"")
    assert not list(tmp_path.rglob("*.txt"))


def test_a_manifest_too_large_to_be_read_is_not_written(tmp_path: Path) -> None:
    manifest = open_bundle(GOLDEN).manifest.model_copy(update={"description": "x" * MAX_BYTES})
    with pytest.raises(UsageError, match="at most 1048576 fit") as refused:
        write_manifest(tmp_path / "b", manifest)
    assert "golden" in (refused.value.hint or "")
    assert not (tmp_path / "b").exists()


# Judging a runtime by the golden samples

CHECKS = json.loads((HERE / "golden" / "checks.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CHECKS, ids=lambda case: case["name"])
def test_answers_are_judged_as_the_rules_say(case: dict) -> None:
    dtype = case["output"]["dtype"]
    expected = [tensor(given, dtype) for given in case["expected"]]
    answers = [tensor(given, case.get("answers_dtype", dtype)) for given in case["answers"]]
    shape = [None, *case["expected"][0]["shape"][1:]]
    data = {"name": "y", "shape": shape, "meaning": "", "labels": None, **case["output"]}
    data["batch_axis"] = 0
    output = Output.model_validate_json(json.dumps(data))
    found = check_output(output, Tolerances(**case["tolerances"]), expected, answers)
    assert ("fail" if found.reasons else "pass") == case["verdict"], found.reasons
    for name in ("max_abs", "max_rel", "sqnr_db", "top1"):
        wanted = case[name]
        figure = wanted if wanted is None else pytest.approx(wanted, rel=1e-12, abs=1e-12)
        assert getattr(found, name) == figure, name


def tensor(given: dict, dtype: str) -> np.ndarray:
    return (
        np.array([float(value) for value in given["values"]]).astype(dtype).reshape(given["shape"])
    )


def test_nothing_to_judge_by_is_inconclusive(copy: Path) -> None:
    bundle = open_bundle(copy)
    artifact = bundle.artifact("onnx-fp32")
    none = artifact.model_copy(update={"tolerances": ()})
    assert check(bundle, none, [])[0] == "inconclusive"
    empty = bundle.manifest.model_copy(update={"golden": ()})
    assert check(Bundle(copy, empty, ""), artifact, [])[0] == "inconclusive"
