"""A DEX file as `dexdump -d` shows it: what each method refers to, and who calls whom."""

import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

SDK_INT = "Landroid/os/Build$VERSION;.SDK_INT"

CLASS = re.compile(r"^  Class descriptor  : '(.+)'$")
# [01e432] dev.edgepipeline.app.MainActivity$0.m:(Landroid/view/Window;)V
METHOD = re.compile(r"\|\[[0-9a-f]+\] (\S+)\.([^.:]+):(\(\S*)$")
# invoke-virtual {v1, v0}, Landroid/view/Window;.setDecorFitsSystemWindows:(Z)V // method@0406
REFERENCE = re.compile(r"(\[*L[^;\s]+;)\.([^:\s]+):(\S+) // (method|field)@")
TYPE = re.compile(r" (\[*L[^;\s]+;) // type@")


@dataclass
class Method:
    """`owner` and what it refers to are descriptors: `Landroid/view/Window;`."""

    owner: str
    name: str
    references: set[str] = field(default_factory=set)

    @property
    def asks_for_the_version(self) -> bool:
        return any(one.startswith(SDK_INT) for one in self.references)


@dataclass(frozen=True)
class Dex:
    """`callers`: by a reference, the names of the methods that have it."""

    methods: dict[str, Method]
    callers: dict[str, set[str]]

    def guarded(self, name: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a method runs only behind a look at the version: its own, that of all who call
        it, or that of all who make an object of its class."""
        if name in seen:
            return False
        if self.methods[name].asks_for_the_version:
            return True
        seen |= {name}
        owner = self.methods[name].owner
        makers = {
            maker
            for reference, makers in self.callers.items()
            if reference.startswith(f"{owner}.<init>:")
            for maker in makers
            if self.methods[maker].owner != owner
        }
        return any(
            bool(group) and all(self.guarded(one, seen) for one in group)
            for group in (self.callers.get(name, set()) - {name}, makers)
        )


def read_dex(file: Path) -> Dex:
    """Parses what dexdump prints of a DEX or an APK."""
    done = subprocess.run(
        ["dexdump", "-d", file], check=True, capture_output=True, text=True, errors="replace"
    )
    methods: dict[str, Method] = {}
    callers: dict[str, set[str]] = defaultdict(set)
    current, key = None, ""
    for line in done.stdout.splitlines():
        if found := METHOD.search(line):
            owner = f"L{found[1].replace('.', '/')};"
            key = f"{owner}.{found[2]}:{found[3]}"
            current = methods.setdefault(key, Method(owner, found[2]))
        elif current is not None and (found := REFERENCE.search(line)):
            reference = f"{found[1]}.{found[2]}:{found[3]}"
            current.references.add(reference)
            callers[reference].add(key)
        elif current is not None and (found := TYPE.search(line)):
            current.references.add(found[1])
    return Dex(methods, dict(callers))
