"""Names of files in a bundle: the same on every system, never outside of it."""

import re
from collections.abc import Iterable

from pipeline.bundle.refusal import Refusal, Refused

MANIFEST = "manifest.json"
MAX_LEVELS = 4
MAX_NAME = 128
MAX_FILES = 1024

# Letters, digits, '.', '_' and '-' leave no room for `..`, '\\', 'C:', blanks or control
# characters, nor for two Unicode spellings of one name.
SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))]
)


def check_name(name: str) -> str:
    """The name, if it is a portable path relative to the bundle; else raises Refused."""
    shown = repr(name[:MAX_NAME])
    if len(name) > MAX_NAME:
        raise Refused(Refusal.UNSAFE_NAME, shown, f"it is longer than {MAX_NAME} characters")
    segments = name.split("/")
    for segment in segments:
        if not SEGMENT.fullmatch(segment):
            rule = "letters, digits, '.', '_' and '-' only, a letter or digit first"
            raise Refused(Refusal.UNSAFE_NAME, shown, rule)
        if segment.endswith("."):
            raise Refused(Refusal.UNSAFE_NAME, shown, "it ends with a dot")
        if segment.partition(".")[0].lower() in RESERVED:
            raise Refused(Refusal.UNSAFE_NAME, shown, "Windows reserves it")
    if len(segments) > MAX_LEVELS:
        raise Refused(Refusal.TOO_DEEP, shown, MAX_LEVELS)
    return name


def check_names(names: Iterable[str]) -> None:
    """Raises Refused if two paths, or folders on their way, differ in case alone."""
    seen: dict[str, str] = {}
    for name in names:
        segments = name.split("/")
        for end in range(1, len(segments) + 1):
            path = "/".join(segments[:end])
            first = seen.setdefault(path.lower(), path)
            if first != path:
                raise Refused(Refusal.CASE_COLLISION, path, first)
