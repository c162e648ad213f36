"""What targets read: the lists and versions are those of the programs that they speak of."""

import re
from dataclasses import replace
from pathlib import Path

import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from pipeline.verify.compatibility import ORT_IR, ORT_OPSET, rows
from pipeline.workspace.artifacts import Artifact, write_index
from pipeline.workspace.results.verdict import CompatibilityRow
from tests.verify.verify_cases import Case, good


def make(opset: int, ir_version: int) -> bytes:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "g", [values[0]], [values[1]]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir_version
    content: bytes = model.SerializeToString()
    return content


def opens(content: bytes) -> bool:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception:  # ONNX Runtime has a class of its own for each code
        return False
    return True


def test_the_newest_that_onnx_runtime_reads() -> None:
    assert opens(make(ORT_OPSET, ORT_IR))
    assert not opens(make(ORT_OPSET + 1, ORT_IR))
    assert not opens(make(ORT_OPSET, ORT_IR + 1))


def onnx_file(folder: Path, content: bytes, operators: tuple[str, ...], opset: int) -> Artifact:
    (folder / "model.onnx").write_bytes(content)
    return Artifact(
        "onnx-fp32", "onnx", "fp32", None, "model.onnx", len(content), "0" * 64, opset, "any",
        dict.fromkeys(operators, 1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("opset", "ir_version", "operators", "reasons"),
    [
        (ORT_OPSET, ORT_IR, ("Identity",), []),
        (ORT_OPSET + 1, 9, ("Identity",), [f"opset {ORT_OPSET + 1}; .* reads up to {ORT_OPSET}"]),
        (18, ORT_IR + 1, ("Identity",), [f"IR version {ORT_IR + 1}; .* up to {ORT_IR}"]),
        (18, 9, ("Identity", "my.Own"), ["has no my.Own"]),
    ],
)
def test_a_row_for_each_target(
    tmp_path: Path, opset: int, ir_version: int, operators: tuple[str, ...], reasons: list[str]
) -> None:
    artifact = onnx_file(tmp_path, make(opset, ir_version), operators, opset)
    found = rows({tmp_path / "model.onnx": artifact}, ["onnxruntime-android"])
    assert [(row.target, row.judged) for row in found] == [
        ("onnxruntime-android", True),
        ("cpp-runner", False),
    ]
    for row in found:
        assert row.found == {"opset": opset, "ir_version": ir_version}
        assert row.verdict == ("fail" if reasons else "pass")
        assert len(row.reasons) == len(reasons)
        for reason, pattern in zip(row.reasons, reasons, strict=True):
            assert re.search(pattern, reason)


def test_operators_that_old_torch_lacks(tmp_path: Path) -> None:
    def row(*operators: str) -> CompatibilityRow:
        artifact = Artifact(
            "torchscript-fp32", "torchscript", "fp32", None, "m.pt", 1, "0" * 64, 10, "any",
            dict.fromkeys(operators, 1),
        )  # fmt: skip
        (found,) = [r for r in rows({tmp_path / "m.pt": artifact}) if r.target == "pytorch-android"]
        return found

    assert row("aten::conv2d", "aten::relu").verdict == "pass"
    new = row("aten::conv2d", "aten::scaled_dot_product_attention")
    assert new.reasons == ["PyTorch 1.13.1 for Android has no aten::scaled_dot_product_attention"]


def test_a_target_that_is_named_counts(pictures: Case) -> None:
    """The same file passes where nobody asks for the phone, and fails where somebody does."""
    pictures.add(good(pictures))
    (artifact,) = pictures.artifacts
    newer = replace(artifact, operators={"aten::scaled_dot_product_attention": 1})
    write_index(pictures.inputs["export"], [newer])
    bare = pictures.verify()
    (phone,) = [row for row in bare["compatibility"] if row["target"] == "pytorch-android"]
    assert (bare["verdict"], phone["verdict"], phone["judged"]) == ("pass", "fail", False)
    asked = pictures.configured(verify={"targets": ["pytorch-android"]}).verify("asked")
    (phone,) = [row for row in asked["compatibility"] if row["target"] == "pytorch-android"]
    assert (asked["verdict"], phone["verdict"], phone["judged"]) == ("fail", "fail", True)
