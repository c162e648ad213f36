"""Resources and manifest: compiled and linked by aapt2."""

from pathlib import Path

from pipeline.devices.android.sources import APP_ID
from pipeline.devices.android.tools import must

OLDEST_API, TARGET_API = 26, 36


def link(
    sources: Path, framework: Path, version: tuple[int, str], scratch: Path
) -> tuple[Path, Path]:
    """An APK with manifest and resources alone, and R.java.

    `sources` is `app/src/main`; `version` the code, which grows, and the name, which people read.
    """
    compiled, base, generated = scratch / "resources.zip", scratch / "base.apk", scratch / "gen"
    manifest = _with_package(sources / "AndroidManifest.xml", scratch)
    must(["aapt2", "compile", "--dir", sources / "res", "-o", compiled], "Compiling resources")
    must(
        [
            *("aapt2", "link", compiled, "-I", framework, "-o", base),
            *("--manifest", manifest, "--java", generated),
            *("--min-sdk-version", str(OLDEST_API), "--target-sdk-version", str(TARGET_API)),
            *("--version-code", str(version[0]), "--version-name", version[1]),
        ],
        "Linking resources",
    )
    (java,) = generated.rglob("R.java")
    return base, java


def _with_package(manifest: Path, scratch: Path) -> Path:
    """Gradle knows the package from its own files, aapt2 from the manifest."""
    copy = scratch / "AndroidManifest.xml"
    text = manifest.read_text(encoding="utf-8")
    copy.write_text(text.replace("<manifest ", f'<manifest package="{APP_ID}" ', 1), "utf-8")
    return copy
