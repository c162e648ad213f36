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
    sizes: dict[str, int] = {}
    with zipfile.ZipFile(apk) as archive:
        for info in archive.infolist():
            what = next((name for start, name in PARTS if info.filename.startswith(start)), REST)
            sizes[what] = sizes.get(what, 0) + info.compress_size
    sizes[REST] = sizes.get(REST, 0) + apk.stat().st_size - sum(sizes.values())
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))
