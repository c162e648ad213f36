"""What is fetched once from Maven Central, each file with its SHA-256, into the user's cache."""

import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SetupError
from pipeline.runner import headers
from pipeline.runner.sources import cache
from pipeline.system.progress import Bar, Reporter
from pipeline.workspace.artifacts import sha256_of

PATIENCE_S = 600

KOTLIN = "2.4.21"


@dataclass(frozen=True)
class Jar:
    """One file of Maven Central. `group:name:version`, `kind` is its suffix."""

    coordinate: str
    sha256: str
    kind: str = "jar"

    @property
    def path(self) -> str:
        """Below a repository."""
        group, name, version = self.coordinate.split(":")
        return f"{group.replace('.', '/')}/{name}/{version}/{self.file}"

    @property
    def file(self) -> str:
        _, name, version = self.coordinate.split(":")
        return f"{name}-{version}.{self.kind}"


STDLIB = Jar(
    f"org.jetbrains.kotlin:kotlin-stdlib:{KOTLIN}",
    "bd8250210584cb659847dce9cda660f8e9906e5def7fbebcea93dc6dcb6a88a3",
)
ANNOTATIONS = Jar(
    "org.jetbrains:annotations:13.0",
    "ace2a10dc8e2d5fd34925ecac03e4988b2c0f851650c94b8cef49ba1bd111478",
)
COMPILER = (
    Jar(
        f"org.jetbrains.kotlin:kotlin-compiler-embeddable:{KOTLIN}",
        "ef19419c765e7ac8404465fa026ca8fc4dbb8a822de0fc79aa53c8dce29f1d02",
    ),
    STDLIB,
    Jar(
        f"org.jetbrains.kotlin:kotlin-script-runtime:{KOTLIN}",
        "a658cf5902a1525a06c264a5e42b437e97a6679ddeef8ca641246f270cf6a013",
    ),
    Jar(
        f"org.jetbrains.kotlin:kotlin-build-tools-api:{KOTLIN}",
        "c5cd6a49bd072b529ae10809111c16a7aa0f92147e95d288354017fd65799461",
    ),
    Jar(
        f"org.jetbrains.kotlin:kotlin-daemon-embeddable:{KOTLIN}",
        "7b3ef24674e5bcffcadfc4e43202ea314194939ecbcdd90a4770b2f1b04e0d07",
    ),
    Jar(
        "org.jetbrains.kotlin:kotlin-reflect:1.6.10",
        "3277ac102ae17aad10a55abec75ff5696c8d109790396434b496e75087854203",
    ),
    Jar(
        "org.jetbrains.kotlinx:kotlinx-coroutines-core-jvm:1.8.0",
        "9860906a1937490bf5f3b06d2f0e10ef451e65b95b269f22daf68a3d1f5065c5",
    ),
    ANNOTATIONS,
)
R8 = Jar(
    "com.android.tools:r8:9.5.28",
    "38a9ffaaebbd17d1514e3ecbff5a85b989bb13c551b9e224c7409514eea84ff5",
)
# API 35: the newest whose classes a JDK 17 reads.
FRAMEWORK = Jar(
    "org.robolectric:android-all:15-robolectric-13954326",
    "e17105f6c432357e6bb278a527f8e848d01fc56ccee01be77725bea23d871990",
)
# API 34: the newest whose resources Debian's aapt2 reads.
RESOURCES = Jar(
    "org.robolectric:android-all:14-robolectric-10818077",
    "6be2218c6a53fe3c57bc22ebdc723edcb7270a8a6f187545708aa5c0ed813977",
)
# The real API 26, which the app must get along with.
OLDEST = Jar(
    "org.robolectric:android-all-instrumented:8.0.0_r4-robolectric-r1-i7",
    "712196356bf61fbcb186f41135c33e6d3416be31543d7be120a33bc898cc1208",
)
# ONNX Runtime's classes and its libraries for desktops.
ORT_JVM = Jar(
    f"com.microsoft.onnxruntime:onnxruntime:{headers.onnxruntime_version()}",
    "5933bbc0c6c4d89afc04bf7c11011de23a947509c1352e5bf5936e62a84e4d10",
)
ORT_ANDROID = Jar(
    f"com.microsoft.onnxruntime:onnxruntime-android:{headers.onnxruntime_version()}",
    headers.SHA256,
    "aar",
)
PYTORCH = (
    Jar(
        "org.pytorch:pytorch_android:1.13.1",
        "78aa10ae11361c67cb49cb34f659b6d5cf9e3865a1c5ebd0555e452cd4873f8b",
        "aar",
    ),
    Jar(
        "com.facebook.fbjni:fbjni-java-only:0.2.2",
        "7904e1c270fc2efafa7232001fbd5adb0521f624ee3a6e548d1efbcb5f30bcdf",
    ),
    Jar(
        "com.facebook.soloader:nativeloader:0.10.4",
        "472c6cfdf27924caaa76662e39f67c9e0ec6a780e5a924e7d2dcc4fc8f1c2744",
    ),
)


def fetch(jars: Sequence[Jar], report: Reporter) -> dict[Jar, Path]:
    """The files, out of the cache or Maven's own repository, fetched where they are not there.

    Raises SetupError where one cannot be had, or is not the known one.
    """
    known = {jar: path for jar in jars if (path := here(jar)) is not None}
    absent = [jar for jar in jars if jar not in known]
    if absent:
        with report.bar("libraries for Android, once", len(absent)) as bar:
            for jar in absent:
                bar.advance(0, jar.file)
                known[jar] = _download(jar, bar)
    return {jar: known[jar] for jar in jars}


def kept(jar: Jar) -> Path:
    """Where the cache has it."""
    return cache() / "maven" / jar.path


def here(jar: Jar) -> Path | None:
    """A file of the right content. What lies in the cache was checked when it got there."""
    if kept(jar).is_file():
        return kept(jar)
    maven = Path.home() / ".m2" / "repository" / jar.path
    return maven if maven.is_file() and sha256_of(maven) == jar.sha256 else None


def _download(jar: Jar, bar: Bar) -> Path:
    """Written beside its place and renamed: a half one never stands there."""
    path = kept(jar)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        draft = Path(scratch) / jar.file
        _receive(jar, draft)
        if sha256_of(draft) != jar.sha256:
            raise SetupError(
                f"{jar.coordinate} is not the expected file: its SHA-256 differs.",
                "The repository that Maven's settings.xml names has changed it.",
            )
        draft.replace(path)
    bar.advance(1)
    return path


def _receive(jar: Jar, draft: Path) -> None:
    """Maven fetches it, from where its settings say."""
    words = ["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={jar.coordinate}:{jar.kind}"]
    try:
        done = subprocess.run(  # noqa: S603  nothing of it is a user's
            [*words, f"-DoutputDirectory={draft.parent}"],
            check=False, capture_output=True, text=True, cwd=draft.parent, timeout=PATIENCE_S,
        )  # fmt: skip
    except FileNotFoundError:
        raise SetupError("Maven, which fetches it, was not found.", "apt install maven") from None
    except subprocess.TimeoutExpired:
        raise SetupError(f"{jar.coordinate}: no answer within {PATIENCE_S} s.") from None
    if draft.is_file():
        return
    if jar is ORT_ANDROID:  # some mirrors leave it out; it lies in a package of npm's, too
        draft.write_bytes(headers.archive())
        return
    lines = (done.stdout + done.stderr).strip().splitlines() or ["no reason"]
    raise SetupError(f"{jar.coordinate} could not be fetched: {lines[0]}", "Check the network.")


def digest() -> str:
    """One hash over what is known of all files: a build depends on it."""
    jars = (*COMPILER, R8, FRAMEWORK, RESOURCES, ORT_JVM, ORT_ANDROID, *PYTORCH)
    return hashlib.sha256("".join(jar.sha256 for jar in jars).encode()).hexdigest()
