"""cpp_runner/bundle/operators.txt, the list that all readers share, as sets of names."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.errors import SetupError


@dataclass(frozen=True)
class Operators:
    """`allowed` names of operators (`aten::relu`), `refused` ones that code could call as a method
    of their first argument (`set_`), `keywords` arguments that one writes into (`out`), `classes`
    of torch's own (`__torch__.torch.classes...`)."""

    allowed: frozenset[str]
    refused: frozenset[str]
    keywords: frozenset[str]
    classes: frozenset[str]


@cache
def operators() -> Operators:
    lines = _file().read_text(encoding="utf-8").splitlines()
    words = [line.split() for line in lines if line and not line.startswith("#")]
    parts = {mark: frozenset(w[1] for w in words if w[0] == mark) for mark in _MARKS}
    return Operators(*(parts[mark] for mark in _MARKS))


_MARKS = ("allow", "refuse", "keyword", "class")


def _file() -> Path:
    """In the sources of the C++ runner: those of the checkout, or the installed package's copy."""
    package = Path(__file__).parents[2]
    for folder in (package.parent / "cpp_runner", package / "cpp_runner"):
        file = folder / "bundle" / "operators.txt"
        if file.is_file():
            return file
    raise SetupError(
        "The list of allowed TorchScript operators is not here.",
        "Install edge-pipeline again, or use it from a checkout.",
    )
