"""operators.txt and onnx.txt of cpp_runner/bundle, which all readers share, as sets of names."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.errors import SetupError


@dataclass(frozen=True)
class Operators:
    """`allowed` names of operators (`aten::relu`), `refused` ones that code could call as a method
    of their first argument (`set_`), `keywords` arguments that one writes into (`out`), `classes`
    of torch's own (`__torch__.torch.classes...`), `microsoft` ONNX operators of com.microsoft."""

    allowed: frozenset[str]
    refused: frozenset[str]
    keywords: frozenset[str]
    classes: frozenset[str]
    microsoft: frozenset[str]


@cache
def operators() -> Operators:
    folder = _folder()
    texts = [(folder / name).read_text(encoding="utf-8") for name in FILES]
    lines = [line for text in texts for line in text.splitlines()]
    words = [line.split() for line in lines if line and not line.startswith("#")]
    parts = {mark: frozenset(w[1] for w in words if w[0] == mark) for mark in _MARKS}
    return Operators(*(parts[mark] for mark in _MARKS))


FILES = ("operators.txt", "onnx.txt")
_MARKS = ("allow", "refuse", "keyword", "class", "microsoft")


def _folder() -> Path:
    """In the sources of the C++ runner: those of the checkout, or the installed package's copy."""
    package = Path(__file__).parents[2]
    for folder in (package.parent / "cpp_runner", package / "cpp_runner"):
        if all((folder / "bundle" / name).is_file() for name in FILES):
            return folder / "bundle"
    raise SetupError(
        "The lists of what model files may use are missing.",
        "Install edge-pipeline again, or use it from a checkout.",
    )
