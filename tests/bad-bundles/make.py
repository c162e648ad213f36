#!/usr/bin/env python3
"""Builds every bundle of cases.json into a folder:  python make.py FOLDER

Each case becomes FOLDER/NAME.bundle: a copy of ../golden/bundle-v1 with the changes of its `do`.
A reader must refuse it with `code`, or accept it where `code` is null. Git can hold neither links
nor pipes nor odd names, hence this script; it needs Python's standard library alone, so that the
tests of every reader, in whatever language, can call it.

What a step of `do` may be (names are relative to the bundle):

    flip FILE OFFSET        one bit of a byte               remove FILE
    truncate FILE BYTES     to so many bytes                rename OLD NEW
    write FILE TEXT         folders included                folder NAME
    write-hex HEX TEXT      a name given as bytes           pipe NAME
    many FOLDER COUNT       so many listed small files      symlink NAME TARGET
    link-outside FILE       a second hard link to it, beside the bundle

in manifest.json, as JSON (PATH is a list of keys and indices):

    set PATH VALUE          delete PATH          repeat PATH    once more, behind it
    list FILE               into `files`, with its real size and SHA-256
    sort                    every object's keys by name
    compact                 no blanks

in manifest.json, as text:

    replace OLD NEW         where it stands first           pad BYTES    with blanks, to that size
    replace-hex OLD HEX     by bytes                        nest LEVELS  arrays, for description

The digest is made right again after all of them, unless `keep-digest` is among the steps.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BASE = HERE.parent / "golden" / "bundle-v1"
CASES = HERE / "cases.json"
DIGEST = re.compile(rb'("digest": ?")[0-9a-f]{64}"')

Json = Any


def load_cases() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(CASES.read_text(encoding="utf-8"))
    return cases


def build_all(folder: Path) -> None:
    folder.mkdir(parents=True)
    for case in load_cases():
        build(case, folder)


def build(case: dict[str, Any], folder: Path) -> Path:
    """One case; gives the bundle."""
    bundle = folder / f"{case['name']}.bundle"
    shutil.copytree(BASE, bundle)
    for name, *arguments in case["do"]:
        if name != "keep-digest":
            STEPS[name](bundle, *arguments)
    if ["keep-digest"] not in case["do"]:
        _seal(bundle / "manifest.json")
    return bundle


def _seal(manifest: Path) -> None:
    if not manifest.is_file() or manifest.is_symlink():
        return
    content = manifest.read_bytes()
    if DIGEST.search(content):
        content = DIGEST.sub(rb"\g<1>" + b"0" * 64 + b'"', content)
        digest = hashlib.sha256(content).hexdigest().encode()
        manifest.write_bytes(DIGEST.sub(rb"\g<1>" + digest + b'"', content))


def _flip(bundle: Path, name: str, offset: int) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[offset] ^= 1
    (bundle / name).write_bytes(content)


def _truncate(bundle: Path, name: str, size: int) -> None:
    os.truncate(bundle / name, size)


def _write(bundle: Path, name: str, text: str) -> None:
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_text(text, encoding="utf-8")


def _write_hex(bundle: Path, name: str, text: str) -> None:
    Path(os.fsdecode(os.fsencode(bundle) + b"/" + bytes.fromhex(name))).write_text(text)


def _many(bundle: Path, folder: str, count: int) -> None:
    names = [f"{folder}/{number}" for number in range(count)]
    for name in names:
        _write(bundle, name, "x")
    entry = {"bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
    _edit(bundle, lambda m: m["files"].extend({"file": name, **entry} for name in names))


def _remove(bundle: Path, name: str) -> None:
    (bundle / name).unlink()


def _rename(bundle: Path, old: str, new: str) -> None:
    (bundle / old).rename(bundle / new)


def _folder(bundle: Path, name: str) -> None:
    (bundle / name).mkdir(parents=True)


def _pipe(bundle: Path, name: str) -> None:
    os.mkfifo(bundle / name)


def _symlink(bundle: Path, name: str, target: str) -> None:
    (bundle / name).symlink_to(target)


def _link_outside(bundle: Path, name: str) -> None:
    (bundle.parent / f"{bundle.stem}.outside").hardlink_to(bundle / name)


def _edit(bundle: Path, change: Callable[[Json], object]) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _at(manifest: Json, path: list[str | int]) -> tuple[Json, str | int]:
    for key in path[:-1]:
        manifest = manifest[key]
    return manifest, path[-1]


def _set(bundle: Path, path: list[str | int], value: Json) -> None:
    def change(manifest: Json) -> None:
        parent, key = _at(manifest, path)
        parent[key] = value

    _edit(bundle, change)


def _delete(bundle: Path, path: list[str | int]) -> None:
    def change(manifest: Json) -> None:
        parent, key = _at(manifest, path)
        del parent[key]

    _edit(bundle, change)


def _repeat(bundle: Path, path: list[str | int]) -> None:
    def change(manifest: Json) -> None:
        parent, key = _at(manifest, path)
        parent.append(parent[key])

    _edit(bundle, change)


def _list(bundle: Path, name: str) -> None:
    content = (bundle / name).read_bytes()
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    _edit(bundle, lambda manifest: manifest["files"].append({"file": name, **entry}))


def _sort(bundle: Path) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")


def _compact(bundle: Path) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest, separators=(",", ":")), encoding="utf-8")


def _replace(bundle: Path, old: str, new: str) -> None:
    _replace_hex(bundle, old, new.encode("utf-8").hex())


def _replace_hex(bundle: Path, old: str, new: str) -> None:
    path = bundle / "manifest.json"
    content = path.read_bytes()
    if old.encode() not in content:
        raise ValueError(f"{bundle.name}: manifest.json has no {old!r}")
    path.write_bytes(content.replace(old.encode(), bytes.fromhex(new), 1))


def _pad(bundle: Path, size: int) -> None:
    path = bundle / "manifest.json"
    path.write_bytes(path.read_bytes().ljust(size, b" "))


def _nest(bundle: Path, levels: int) -> None:
    _set(bundle, ["description"], "HERE")
    _replace(bundle, '"HERE"', "[" * levels + "]" * levels)


STEPS: dict[str, Callable[..., None]] = {
    "flip": _flip,
    "truncate": _truncate,
    "write": _write,
    "write-hex": _write_hex,
    "many": _many,
    "remove": _remove,
    "rename": _rename,
    "folder": _folder,
    "pipe": _pipe,
    "symlink": _symlink,
    "link-outside": _link_outside,
    "set": _set,
    "delete": _delete,
    "repeat": _repeat,
    "list": _list,
    "sort": _sort,
    "compact": _compact,
    "replace": _replace,
    "replace-hex": _replace_hex,
    "pad": _pad,
    "nest": _nest,
}


if __name__ == "__main__":
    if len(sys.argv) != 2 or Path(sys.argv[1]).exists():
        sys.exit(__doc__)
    build_all(Path(sys.argv[1]))
