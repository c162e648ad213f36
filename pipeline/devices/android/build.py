"""An APK of the app and bundles, without an Android SDK."""

import re
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import __version__
from pipeline.bundle import Bundle, open_bundle
from pipeline.devices.android import jars as known
from pipeline.devices.android.archive import Entry, pack
from pipeline.devices.android.compile import compile_java, compile_kotlin, to_dex
from pipeline.devices.android.jars import Jar, fetch
from pipeline.devices.android.key import Key
from pipeline.devices.android.resources import OLDEST_API, link
from pipeline.devices.android.sources import RULES, Flavor, kotlin, lists, sources
from pipeline.devices.android.tools import check_tools
from pipeline.errors import UsageError
from pipeline.system.progress import Reporter

ABIS = ("arm64-v8a", "x86_64")
NEEDED = (
    *known.COMPILER,
    *(known.R8, known.FRAMEWORK, known.RESOURCES, known.ORT_ANDROID),
)


@dataclass(frozen=True)
class Plan:
    """What an APK is to have. `rules` of R8 go beside the app's own."""

    bundles: tuple[Path, ...]
    out: Path
    abis: tuple[str, ...] = ABIS[:1]
    flavor: Flavor = "plain"


@dataclass(frozen=True)
class Library:
    """An AAR, taken apart: its classes, R8's rules and native libraries by their name in an APK."""

    classes: Path
    rules: tuple[Path, ...]
    native: tuple[Entry, ...]


def build(plan: Plan, key: Key, report: Reporter) -> Path:
    """Writes the APK and gives its path.

    Raises UsageError for a bundle or an ABI that cannot be taken, Refused for a damaged bundle,
    SetupError where a tool is missing or fails.
    """
    check_tools()
    bundles = _bundles(plan)
    needed = (*NEEDED, *(known.PYTORCH if plan.flavor == "pytorch" else ()))
    jars = fetch(needed, report)
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=plan.out.parent, prefix=".apk-") as folder,
        report.bar("APK", 5) as bar,
    ):
        scratch = Path(folder)
        bar.advance(0, "resources")
        base, r_java = link(
            sources() / "app" / "src" / "main",
            jars[known.RESOURCES],
            (version_code(__version__), __version__),
            scratch,
        )
        bar.advance(1, "Kotlin")
        libraries = list(_libraries(plan, jars, scratch))
        classes = _compile(plan.flavor, libraries, r_java, jars, scratch)
        bar.advance(1, "R8")
        _shrink(libraries, classes, jars, scratch)
        bar.advance(1, "packing")
        listed = [Entry(name, file.read_bytes(), stored=False) for name, file in lists().items()]
        entries = [*_dex(scratch), *listed, *_native(libraries), *_assets(bundles)]
        draft = scratch / "app.apk"
        pack(base, entries, key, draft, scratch)
        bar.advance(1, "checking")
        draft.replace(plan.out)
        bar.advance(1)
    return plan.out


def version_code(version: str) -> int:
    """One number that grows with the version: 0.1.0 is 100, 1.2.3 is 10203."""
    parts = [int(part) for part in re.findall(r"\d+", version)[:3]]
    major, minor, patch = (*parts, 0, 0, 0)[:3]
    return 10_000 * major + 100 * minor + patch


def _bundles(plan: Plan) -> list[Bundle]:
    if not plan.bundles:
        raise UsageError(
            "An app without a bundle has nothing to run.",
            "pipeline package makes one; name its path.",
        )
    for abi in plan.abis:
        if abi not in ABIS:
            raise UsageError(f"There is no ABI {abi!r} in this app.", f"Known: {', '.join(ABIS)}.")
    bundles = [open_bundle(path) for path in plan.bundles]
    names = [bundle.manifest.name for bundle in bundles]
    if len(set(names)) < len(names):
        raise UsageError(f"Two bundles have the same name: {', '.join(names)}.")
    return bundles


def _libraries(plan: Plan, jars: dict[Jar, Path], scratch: Path) -> Iterator[Library]:
    for jar in (known.ORT_ANDROID, *(known.PYTORCH if plan.flavor == "pytorch" else ())):
        if jar.kind == "aar":
            yield _unpack(jars[jar], plan.abis, scratch / jar.file)
        else:
            yield Library(jars[jar], (), ())


def _unpack(archive: Path, abis: Sequence[str], folder: Path) -> Library:
    """What an AAR holds for these ABIs."""
    folder.mkdir()
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
        classes = Path(content.extract("classes.jar", folder))
        rules = [Path(content.extract(name, folder)) for name in names if name == "proguard.txt"]
        native = [
            Entry(f"lib/{name.removeprefix('jni/')}", content.read(name), stored=True)
            for name in names
            if name.endswith(".so") and name.removeprefix("jni/").startswith(tuple(abis))
        ]
    return Library(classes, tuple(rules), tuple(native))


def _compile(
    flavor: Flavor,
    libraries: Sequence[Library],
    r_java: Path,
    jars: dict[Jar, Path],
    scratch: Path,
) -> Path:
    files = kotlin("core/src/main", "app/src/main", f"app/src/{flavor}")
    classes = scratch / "classes"
    seen = [jars[known.FRAMEWORK], jars[known.STDLIB], *(library.classes for library in libraries)]
    compile_kotlin([*files, r_java], seen, classes, jars)
    compile_java([r_java], classes)
    return classes


def _shrink(
    libraries: Sequence[Library], classes: Path, jars: dict[Jar, Path], scratch: Path
) -> None:
    runtime = (jars[known.STDLIB], jars[known.ANNOTATIONS])
    programs = [classes, *runtime, *(library.classes for library in libraries)]
    rules = [sources() / RULES, *(rule for library in libraries for rule in library.rules)]
    to_dex(programs, jars[known.FRAMEWORK], rules, OLDEST_API, scratch / "dex", jars)


def _dex(scratch: Path) -> Iterator[Entry]:
    for file in sorted((scratch / "dex").glob("*.dex")):
        yield Entry(file.name, file.read_bytes(), stored=False)


def _native(libraries: Sequence[Library]) -> Iterator[Entry]:
    """Each library once: two archives may bring the same C++ runtime."""
    entries = {entry.name: entry for library in libraries for entry in library.native}
    yield from (entries[name] for name in sorted(entries))


def _assets(bundles: Sequence[Bundle]) -> Iterator[Entry]:
    """Every file as it is, so that the app can map it and hashes what was hashed here."""
    for bundle in bundles:
        folder = f"assets/bundles/{bundle.manifest.name}.bundle"
        manifest = (bundle.path / "manifest.json").read_bytes()
        yield Entry(f"{folder}/manifest.json", manifest, stored=True)
        for file in sorted(bundle.manifest.listed):
            yield Entry(f"{folder}/{file}", bundle.load(file), stored=True)
