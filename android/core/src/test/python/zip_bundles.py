"""Packs every bundle of a folder as a zip beside it:  python zip_bundles.py FOLDER

As Unix archivers do: links as links, pipes as such by their mode, folders with own entries.
Java's writer knows none of that.
"""

import os
import stat
import sys
import zipfile
from pathlib import Path

PLACEHOLDER = "~not~utf8~"


def pack(bundle: Path) -> None:
    raw_names: list[tuple[bytes, bytes]] = []
    target = bundle.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(bundle.rglob("*")):
            name = str(path.relative_to(bundle))
            raw = os.fsencode(name)
            try:
                raw.decode()
            except UnicodeDecodeError:  # written under another name of that length, then put right
                name = PLACEHOLDER[: len(raw)]
                raw_names.append((name.encode(), raw))
            status = path.lstat()
            info = zipfile.ZipInfo(f"{name}/" if stat.S_ISDIR(status.st_mode) else name)
            info.create_system = 3
            info.external_attr = status.st_mode << 16
            archive.writestr(info, content_of(path, status.st_mode))
    content = target.read_bytes()
    for written, raw in raw_names:
        content = content.replace(written, raw)
    target.write_bytes(content)


def content_of(path: Path, mode: int) -> bytes:
    if stat.S_ISLNK(mode):
        return os.fsencode(os.readlink(path))
    return path.read_bytes() if stat.S_ISREG(mode) else b""


for found in sorted(Path(sys.argv[1]).glob("*.bundle")):
    pack(found)
