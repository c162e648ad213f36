"""What takes how much in an APK."""

import zipfile
from pathlib import Path

PARTS = (  # the first that fits
    ("lib/", "native libraries"),
    ("assets/bundles/", "bundles"),
    ("classes", "code"),
    ("res", "resources"),
    ("AndroidManifest", "resources"),
)
REST = "zip, alignment, signature"


def sizes(apk: Path) -> dict[str, int]:
    """Bytes in the file by kind of content, the largest first; their sum is the file's size."""
    found: dict[str, int] = {}
    with zipfile.ZipFile(apk) as archive:
        for info in archive.infolist():
            what = next((name for start, name in PARTS if info.filename.startswith(start)), REST)
            found[what] = found.get(what, 0) + info.compress_size
    found[REST] = found.get(REST, 0) + apk.stat().st_size - sum(found.values())
    return dict(sorted(found.items(), key=lambda item: -item[1]))
