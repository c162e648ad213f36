"""What each runtime of a target can read, against what is in a file: a row for each.

The versions and operators are those of the releases that a bundle is carried to, not of what is
installed here, so that nobody has to carry a file to a phone to find out.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.config.export import Format
from pipeline.errors import DamagedError
from pipeline.formats.onnx.validate import MICROSOFT
from pipeline.formats.operators import operators as runners
from pipeline.formats.torchscript import android_pytorch
from pipeline.system.packages import version_of
from pipeline.workspace.artifacts import Artifact
from pipeline.workspace.results.verdict import CompatibilityRow

# ONNX Runtime, which is pinned for Python, the C++ runner and Android alike. Measured: it
# opens models up to these and refuses the next; a test asks the one that is installed.
ORT_OPSET, ORT_IR = 26, 13
# kMaxSupportedFileFormatVersion of caffe2/serialize/versions.h, in torch 1.13.1 as in 2.15.
SCRIPT_VERSION = 10

SHOWN = 5  # operators in a reason


@dataclass(frozen=True)
class Target:
    """`unknown` gives the operators of a file that the target does not have. `needs` are the
    newest versions that it reads, by the keys of `versions_in`."""

    name: str
    says: str
    format: Format
    needs: dict[str, int]
    unknown: Callable[[Collection[str]], list[str]]


def rows(files: Mapping[Path, Artifact], judged: Collection[str] = ()) -> list[CompatibilityRow]:
    """For `verdict.json`: every artifact against every target of its format."""
    return [
        _row(artifact, path, target, target.name in judged)
        for path, artifact in files.items()
        for target in TARGETS
        if target.format == artifact.format
    ]


def versions_in(artifact: Artifact, path: Path) -> dict[str, int]:
    """The versions that a file has: `opset` and `ir_version`, or `torchscript_version`; 0 where it
    cannot be read."""
    if artifact.format == "torchscript":
        return {"torchscript_version": artifact.version}
    return {"opset": artifact.version, "ir_version": _ir_version(path)}


def _row(artifact: Artifact, path: Path, target: Target, judged: bool) -> CompatibilityRow:
    versions = versions_in(artifact, path)
    reasons = ["the file cannot be read"] if 0 in versions.values() else []
    reasons += [
        f"{_WORDS[key]} {versions[key]}; {target.says} reads up to {newest}"
        for key, newest in target.needs.items()
        if versions[key] > newest
    ]
    unknown = target.unknown(artifact.operators)
    if unknown:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        reasons.append(f"{target.says} has no {', '.join(unknown[:SHOWN])}{more}")
    return CompatibilityRow(
        artifact=artifact.id,
        format=artifact.format,
        target=target.name,
        needs=target.needs,
        found=versions,
        verdict="fail" if reasons else "pass",
        reasons=reasons,
        judged=judged,
    )


_WORDS = {
    "opset": "opset",
    "ir_version": "IR version",
    "torchscript_version": "TorchScript version",
}


def _ir_version(path: Path) -> int:
    """Field 1 of the message, which writers put first: no need to read the weights."""
    with path.open("rb") as file:
        head = file.read(2)
    if len(head) == 2 and head[0] == 0x08 and head[1] < 0x80:
        return head[1]
    from pipeline.formats.onnx.load import load_onnx

    try:
        return int(load_onnx(path).ir_version)
    except DamagedError:
        return 0


def _not_in_onnxruntime(operators: Collection[str]) -> list[str]:
    known = _onnxruntime()
    return sorted(name for name in operators if name not in known)


@cache
def _onnxruntime() -> frozenset[str]:
    """As `Artifact.operators` has them: the domain before those that are not the standard's."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    schemas = state.get_all_operator_schema()
    return frozenset(f"{s.domain}.{s.name}" if s.domain else s.name for s in schemas)


def _not_in_runner_onnx(operators: Collection[str]) -> list[str]:
    lacking = set(_not_in_onnxruntime(operators))
    for name in operators:
        domain, _, operator = name.rpartition(".")
        if domain and (domain != MICROSOFT or operator not in runners().microsoft):
            lacking.add(name)
    return sorted(lacking)


def _not_in_runner_torchscript(operators: Collection[str]) -> list[str]:
    return sorted(set(operators) - runners().allowed)


_ONNX = {"opset": ORT_OPSET, "ir_version": ORT_IR}
_SCRIPT = {"torchscript_version": SCRIPT_VERSION}
TARGETS = (
    Target(
        "onnxruntime-android",
        f"ONNX Runtime {version_of('onnxruntime')} for Android",
        "onnx",
        _ONNX,
        _not_in_onnxruntime,
    ),
    Target(
        "pytorch-android",
        "PyTorch 1.13.1 for Android",
        "torchscript",
        _SCRIPT,
        android_pytorch.unknown,
    ),
    Target("cpp-runner", "the C++ runner", "onnx", _ONNX, _not_in_runner_onnx),
    Target("cpp-runner", "the C++ runner", "torchscript", _SCRIPT, _not_in_runner_torchscript),
)
