#!/usr/bin/env python3
"""Writes ONNX Runtime's version where tools want it literally.

It stands in cpp_runner/cmake/onnxruntime-version.txt. Python, the C++ runner and the app run the
same release, so that a difference between their answers is never one of versions.

scripts/versions.py            writes it
scripts/versions.py --check    exits 1 and names the file that has another
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "cpp_runner" / "cmake" / "onnxruntime-version.txt"
# Where it stands: what is before and behind it.
PLACES = {
    "pyproject.toml": ('"onnxruntime==', '"'),
    "android/pom.xml": ("<onnxruntime.version>", "<"),
    "android/gradle/libs.versions.toml": ('onnxruntime = "', '"'),
    "docs/parity.md": ("with ONNX Runtime ", "\n"),
}


def main() -> int:
    version = SOURCE.read_text().strip()
    stale = []
    for name, (before, behind) in PLACES.items():
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        pattern = re.compile(f"(?<={re.escape(before)})[0-9][0-9.]*[0-9](?={re.escape(behind)})")
        assert pattern.search(text), f"{name} names no version of ONNX Runtime"
        written = pattern.sub(version, text)
        if written != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(written, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.stderr.write(
            f"{', '.join(stale)}: not the version of {SOURCE.relative_to(ROOT)}, {version}; "
            "scripts/versions.py writes it.\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
