"""What PyTorch for Android, whose last release was 1.13.1, has to run a TorchScript file with."""

import re
import zipfile
from collections.abc import Collection
from functools import cache
from importlib import resources
from pathlib import Path

from pipeline.errors import UsageError

TARGET = "android-pytorch"
LIST = "torch-1.13.1-operators.txt"
SHOWN = 8
# How code in an archive calls an operator: torch.relu(x) is of aten or prim, ops.quantized.relu6(x)
# says it. `__torch__.torch.nn` is a class of the archive's own.
PLAIN = re.compile(r"(?<![\w.])torch\.(\w+)\(")
SPACED = re.compile(r"(?<![\w.])ops\.(\w+)\.(\w+)\(")


@cache
def known_operators() -> frozenset[str]:
    """Names with their namespace; the list's head says where it comes from."""
    text = resources.files(__package__).joinpath(LIST).read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def unknown(operators: Collection[str]) -> list[str]:
    """Those that torch 1.13.1 lacks, in order. What it has may still differ in an overload."""
    return sorted(set(operators) - known_operators())


def called(path: Path) -> set[str]:
    """The operators that a file's code names, in branches that are never taken, too: a loader
    compiles them all, and gives up at the first that it does not know."""
    operators: set[str] = set()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".py"):
                code = archive.read(name).decode("utf-8")
                operators |= {f"aten::{operator}" for operator in PLAIN.findall(code)}
                operators |= {f"{space}::{operator}" for space, operator in SPACED.findall(code)}
    prims = {name.removeprefix("prim::") for name in known_operators() if name.startswith("prim:")}
    return {name for name in operators if name.removeprefix("aten::") not in prims}


def check(path: Path, hint: str) -> None:
    """Raises UsageError for a TorchScript file that PyTorch for Android cannot load."""
    missing = unknown(called(path))
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise UsageError(
            f"{path.name} uses {', '.join(missing[:SHOWN])}{more}, which PyTorch 1.13.1 for "
            f'Android lacks ([export] for = "{TARGET}").',
            hint,
        )
