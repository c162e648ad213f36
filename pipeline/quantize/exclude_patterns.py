"""`[quantize] exclude`: layers that stay float, by the names of modules or ONNX nodes."""

import difflib
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from pipeline.errors import UsageError

PREFIX = "model."  # the user's model lies under this name inside the exported graph


def ancestors(name: str) -> list[str]:
    """`a.b.c` → `a`, `a.b`, `a.b.c`."""
    parts = name.split(".")
    return [".".join(parts[: index + 1]) for index in range(len(parts))]


def matching(pattern: str, names: Iterable[str]) -> bool:
    """Whether a glob matches one of the names, as exported or as the user's model has them."""
    return any(
        fnmatchcase(name, pattern) or fnmatchcase(name.removeprefix(PREFIX), pattern)
        for name in names
    )


def excluded(patterns: Collection[str], names: Iterable[str]) -> bool:
    """Whether a layer that goes by `names` stays float."""
    every = list(names)
    return any(matching(pattern, every) for pattern in patterns)


def check_patterns(patterns: Collection[str], names: Collection[str]) -> None:
    """Raises UsageError for a pattern that no layer of any chosen format answers to."""
    for pattern in patterns:
        if matching(pattern, names):
            continue
        short = sorted({name.removeprefix(PREFIX) for name in names})
        near = difflib.get_close_matches(pattern, sorted(names), 3, 0.5) or short[:5]
        raise UsageError(
            f"quantize.exclude: {pattern!r} matches no layer.",
            f"Names are, for example: {', '.join(near)}.   (pipeline inspect lists them)",
        )
