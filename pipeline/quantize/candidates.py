"""What the search tries: one candidate is one file that could be made."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pipeline.config.export import Format
from pipeline.quantize.histogram import METHODS
from pipeline.quantize.scheme import StaticScheme, default_scheme
from pipeline.workspace.artifacts import Precision

# Rewritings of the float model, which answer the same and are easier to quantize.
Transform = Literal["", "equalized", "smoothed"]
PRECISIONS: tuple[Precision, ...] = ("int8", "int4", "fp16")
WHAT = {"uint8": "U8S8", "int8": "S8S8"}


@dataclass(frozen=True)
class Candidate:
    """`scheme` and `transform` are of static and mixed ONNX, `observer` of static TorchScript.
    `kept_float` names ONNX nodes or modules that stay float besides `[quantize] exclude`.
    `named` is what the user named, made the usual way."""

    format: Format
    recipe: str
    made_for: str = "any"
    scheme: StaticScheme | None = None
    transform: Transform = ""
    observer: Literal["histogram", "minmax"] = "histogram"
    kept_float: tuple[str, ...] = ()
    precision: Precision = "int8"
    named: bool = False

    @property
    def name(self) -> str:
        """For people: `int8-static U8S8 mse, 2 layers float`."""
        words = [self.recipe]
        if self.named:
            return self.recipe
        if self.scheme is not None:
            words += [WHAT[self.scheme.activations], self.scheme.ranges]
            words += [] if self.scheme.per_channel else ["per tensor"]
            words += ["7 bits"] if self.scheme.reduce_range else []
            words += ["bias corrected"] if self.scheme.bias else []
            words += ["not padded"] if self.made_for == "x86_64" and not self.scheme.padded else []
            words += [self.transform] if self.transform else []
        elif self.recipe == "int8-static":
            words.append(self.observer)
        count = len(self.kept_float)
        kept = f", {count} layer{'s' if count > 1 else ''} float" if count else ""
        return " ".join(words) + kept

    @property
    def key(self) -> str:
        """The same for the same candidate, in any process."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def without(self, layers: Sequence[str]) -> "Candidate":
        """The same with these layers float, and no others."""
        return replace(self, kept_float=tuple(layers))


def candidates(format: Format, target: str, kinds: Sequence[str]) -> list[Candidate]:
    """The first round, the most promising first. `kinds` of layers that the model has, as
    `coverage` names them.

    Not every combination is there: what varies is varied around the usual one for the CPU, and
    dynamic ranges are for linear and recurrent layers, since for convolutions they cost more than
    int8 saves; those are static beside them, or float.
    """
    return _onnx(target, kinds) if format == "onnx" else _torchscript(target, kinds)


def _onnx(target: str, kinds: Sequence[str]) -> list[Candidate]:
    found: list[Candidate] = []
    best = default_scheme(target)
    static = Candidate("onnx", "int8-static", target)
    if {"convolutions", "linear layers"} & set(kinds):
        hows = [replace(best, ranges=ranges) for ranges in METHODS]
        hows += [replace(best, ranges="mse", bias=True), replace(best, per_channel=False)]
        if not best.reduce_range and best.activations == "uint8":
            hows.append(replace(best, reduce_range=True))
        other: Literal["uint8", "int8"] = "int8" if best.activations == "uint8" else "uint8"
        hows.append(replace(best, activations=other, reduce_range=False))
        found += [replace(static, scheme=scheme) for scheme in hows]
    if {"linear layers", "recurrent layers"} & set(kinds):
        found.append(Candidate("onnx", "int8-dynamic", target))
        if "convolutions" in kinds:
            found.append(Candidate("onnx", "int8-mixed", target, replace(best, ranges="mse")))
    if "linear layers" in kinds:
        found.append(Candidate("onnx", "int8-weights"))
        found.append(Candidate("onnx", "int4-weights", precision="int4"))
    return [*found, Candidate("onnx", "fp16", precision="fp16")]


def _torchscript(target: str, kinds: Sequence[str]) -> list[Candidate]:
    found = []
    if {"convolutions", "linear layers"} & set(kinds):
        static = Candidate("torchscript", "int8-static", target)
        found += [static, replace(static, observer="minmax")]
    if {"linear layers", "recurrent layers"} & set(kinds):
        found.append(Candidate("torchscript", "int8-dynamic", target))
    return found
