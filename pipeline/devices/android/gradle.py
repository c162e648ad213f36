"""The same app by Gradle, where an Android SDK is."""

import os
import shutil
import subprocess
from pathlib import Path

from pipeline.bundle import open_bundle
from pipeline.devices.android.process import run
from pipeline.devices.android.sources import Flavor, sources
from pipeline.errors import SetupError, UsageError
from pipeline.system.progress import Reporter

SDK = ("ANDROID_HOME", "ANDROID_SDK_ROOT")
SAID = 30
PATIENCE_S = 3600  # the first build downloads


def build(bundles: tuple[Path, ...], out: Path, flavor: Flavor, report: Reporter) -> Path:
    """Writes Gradle's debug APK to `out`. Raises SetupError without an SDK or Gradle, or with the
    last lines that Gradle printed."""
    if not any(os.environ.get(name) for name in SDK):
        raise SetupError(
            "No Android SDK was found: neither ANDROID_HOME nor ANDROID_SDK_ROOT names one.",
            "Without --gradle the app is built without one.",
        )
    if len(bundles) != 1:
        raise UsageError("Gradle builds the app with one bundle.", "Leave --gradle out for more.")
    folder = sources()
    own = folder / "gradlew"
    gradle = str(own) if own.is_file() else shutil.which("gradle")
    if gradle is None:
        raise SetupError(
            "Gradle was not found.", "Install Android Studio, or put `gradle` on the PATH."
        )
    bundle = open_bundle(bundles[0]).path.resolve()
    task = f"assemble{flavor.capitalize()}Debug"
    with report.bar(f"Gradle, {task}", None):
        words = [gradle, "-p", folder, f":app:{task}", f"-Pbundle={bundle}", "--console=plain"]
        try:
            done = run(words, PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise SetupError(f"Gradle took more than {PATIENCE_S} s.") from None
    if done.returncode:
        lines = "\n".join((done.stderr or done.stdout).strip().splitlines()[-SAID:])
        raise SetupError(f"Gradle cannot build the app:\n{lines}")
    made = folder / "app" / "build" / "outputs" / "apk" / flavor / "debug"
    apks = sorted(made.glob("*.apk"))
    if not apks:
        raise SetupError(f"Gradle made no APK in {made}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(apks[0], out)
    return out
