"""Which files a Python file reaches by its import statements, read without running anything."""

import ast
import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

# What tables give to importlib: `"pipeline.runtimes.eager"`, or an entry `"a.b:c"`.
_NAMED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def reached(
    files: Iterable[Path], root: Path, named: bool = False, stop: Collection[Path] = ()
) -> set[Path]:
    """`files`, and every file below `root` that they import, at their top or inside functions.

    `named`: dotted names in strings count as imports, too. What the files in `stop` import is left
    out. A file that does not parse imports
    nothing: running it says what is wrong with it.
    """
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file in found or not file.is_file():
            continue
        found.add(file)
        if file in stop:
            continue
        for name, level in _imported(file.read_bytes(), named):
            base = file.parents[level - 1] if level else None
            for folder in [base] if base else [file.parent, root]:
                waiting += _files(name, folder)
    return found


@cache
def _imported(source: bytes, named: bool) -> frozenset[tuple[str, int]]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    return frozenset(pair for node in ast.walk(tree) for pair in _imports(node, named))


def _files(name: str, folder: Path) -> list[Path]:
    """What importing a dotted name from a folder may run: its packages from the outermost on."""
    parts = name.split(".") if name else []
    packages = [
        folder.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)
    ]
    return [*(packages or [folder / "__init__.py"]), folder.joinpath(*parts).with_suffix(".py")]


def _imports(node: ast.AST, named: bool) -> list[tuple[str, int]]:
    """(dotted name, level of relativity) of what a statement may import."""
    if isinstance(node, ast.Import):
        return [(alias.name, 0) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        inner = [".".join(part for part in (module, a.name) if part) for a in node.names]
        return [(name, node.level) for name in [module, *inner] if name or node.level]
    if named and isinstance(node, ast.Constant) and isinstance(node.value, str):
        name = node.value.partition(":")[0]
        return [(name, 0)] if _NAMED.fullmatch(name) else []
    return []
