"""The APK as a file: what goes in, aligned and signed."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.devices.android.key import Key
from pipeline.devices.android.resources import OLDEST_API
from pipeline.devices.android.tools import must

# Pages of 16 KB, which newer phones have: libraries are mapped from within the APK, and a model
# that is stored can be, too.
PAGE = 16384
EPOCH = (1981, 1, 1, 1, 1, 2)  # a zip has dates; this one says nothing
MODE = 0o100644 << 16


@dataclass(frozen=True)
class Entry:
    """A file of the APK. What is stored can be mapped into memory as it lies there."""

    name: str
    content: bytes
    stored: bool


def pack(base: Path, entries: Iterable[Entry], key: Key, out: Path, scratch: Path) -> None:
    """Writes `out`: the linked resources of `base` and the entries, aligned and signed.

    The same content gives the same bytes up to the signature.
    """
    loose, aligned = scratch / "loose.apk", scratch / "aligned.apk"
    with zipfile.ZipFile(loose, "w") as archive:
        with zipfile.ZipFile(base) as linked:
            for info in sorted(linked.infolist(), key=lambda info: info.filename):
                stored = info.compress_type == zipfile.ZIP_STORED
                _add(archive, Entry(info.filename, linked.read(info), stored))
        for entry in entries:
            _add(archive, entry)
    must(["zipalign", "-f", str(PAGE), loose, aligned], "Aligning the APK")
    alias = ["--ks-key-alias", key.alias] if key.alias else []
    must(
        [
            *("apksigner", "sign", "--ks", key.store, *alias),
            *("--ks-pass", "env:EDGE_PIPELINE_KEY_PASSWORD"),
            # From API 24 on phones read the newer schemes alone.
            *("--min-sdk-version", str(OLDEST_API), "--v1-signing-enabled", "false"),
            *("--v2-signing-enabled", "true", "--v3-signing-enabled", "true"),
            *("--out", out, aligned),
        ],
        "Signing the APK",
        secrets=key.secrets,
    )
    out.with_name(out.name + ".idsig").unlink(missing_ok=True)


def _add(archive: zipfile.ZipFile, entry: Entry) -> None:
    info = zipfile.ZipInfo(entry.name, EPOCH)
    info.external_attr = MODE
    info.create_system = 3
    info.compress_type = zipfile.ZIP_STORED if entry.stored else zipfile.ZIP_DEFLATED
    archive.writestr(info, entry.content)
