"""Through `bench` and `package`: what the rule prefers, and what is really faster."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from pipeline import bench
from pipeline.bundle import open_bundle
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import read_index, read_json, sha256_of, write_index, write_json
from tests.package.conftest import Made, run_stage

SIZE, TIMES = 256, 24  # multiplications of square matrices that the answer does not need


def burdened(source: Path, target: Path) -> None:
    """The same answers, many times as slow: what is worked out of them is added times 0."""
    model = onnx.load(source)
    graph = model.graph
    (output,) = graph.output
    matrix = np.random.default_rng(0).normal(0, 1 / SIZE, (SIZE, SIZE)).astype(np.float32)
    graph.initializer.append(numpy_helper.from_array(matrix, "matrix"))
    graph.initializer.append(numpy_helper.from_array(np.float32(0), "nothing"))  # type: ignore[arg-type]
    for node in graph.node:
        node.output[:] = ["answer" if name == output.name else name for name in node.output]
    work = [
        helper.make_node("ReduceMax", ["answer"], ["work"], keepdims=0),
        helper.make_node("Mul", ["matrix", "work"], ["work.0"]),
        *(
            helper.make_node("MatMul", [f"work.{at}", "matrix"], [f"work.{at + 1}"])
            for at in range(TIMES)
        ),
        helper.make_node("ReduceMax", [f"work.{TIMES}"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "nothing"], ["zero"]),
        helper.make_node("Add", ["answer", "zero"], [output.name]),
    ]
    graph.node.extend(work)
    onnx.checker.check_model(model)
    onnx.save(model, target)


@pytest.mark.slow
def test_what_the_rule_prefers_comes_behind_what_was_faster(made: Made, tmp_path: Path) -> None:
    export, quantize = made.inputs["export"], made.inputs["quantize"]
    fp32 = next(artifact for artifact in read_index(export) if artifact.format == "onnx")
    file = quantize / "model.int8-static.onnx"
    burdened(export / fp32.file, file)
    slow = replace(
        fp32,
        id="onnx-int8-static",
        precision="int8",
        recipe="int8-static",
        file=file.name,
        bytes=file.stat().st_size,
        sha256=sha256_of(file),
    )
    write_index(quantize, [slow])
    verdict = made.verdict
    rows = [row for row in verdict["rows"] if row["artifact"] == fp32.id]
    verdict["rows"] += [{**row, "artifact": slow.id} for row in rows]
    made.write_verdict(verdict)

    settings = made.config.bench.model_copy(update={"runtimes": ()})
    every = replace(made, config=made.config.model_copy(update={"bench": settings}))
    (made.inputs["bench"] / "bench.json").unlink()
    made.inputs["bench"].rmdir()
    run_stage(bench, every.config, made.inputs, made.inputs["bench"])
    found = read_json(made.inputs["bench"] / "bench.json")
    assert not any(row["error"] for row in found["rows"])
    # A busy machine voids it by some percent; here it is many times.
    write_json(made.inputs["bench"] / "bench.json", found | {"void": False})

    report = Silent()
    manifest = open_bundle(every.pack(tmp_path / "out", report)).manifest
    assert [artifact.id for artifact in manifest.artifacts][-1] == slow.id
    assert report.warnings == []
    first = manifest.artifacts[0].id
    card = (tmp_path / "out" / "MODEL-CARD.md").read_text(encoding="utf-8")
    p50 = [row["p50_ms"] for row in found["rows"] if row["artifact"] == first]
    assert f"**{first} ships first**, since no other that passed was measurably faster" in card
    assert any(f": {ms:.3g} ms (p50 in " in card for ms in p50)

    control = found["control"] | {"ratio": None}
    write_json(made.inputs["bench"] / "bench.json", found | {"void": True, "control": control})
    ids = [a.id for a in open_bundle(every.pack(tmp_path / "void")).manifest.artifacts]
    assert ids == [slow.id, "onnx-fp32", "torchscript-fp32"]
