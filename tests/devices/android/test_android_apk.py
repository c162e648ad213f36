"""The APK of the app: signed, aligned, without a permission, small, and at home on API 26."""

import json
import re
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.bundle import open_bundle
from pipeline.devices.android import jars as known
from pipeline.devices.android.archive import PAGE
from pipeline.devices.android.contents import sizes
from pipeline.devices.android.jars import fetch
from pipeline.devices.android.sources import lists
from pipeline.devices.android.tools import QUICK, jdk
from pipeline.system.progress import Silent
from tests.conftest import Cli
from tests.devices.android.dex import SDK_INT, Dex, read_dex

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[3]
DIGITS = REPOSITORY / "examples" / "digits" / "runs" / "digits" / "package" / "digits.bundle"
GOLDEN = REPOSITORY / "tests" / "golden" / "bundle-v1"
BUDGET = 40_000_000
LIBRARIES = {"libonnxruntime.so", "libonnxruntime4j_jni.so"}


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The digits where `make demo` has made them, else the frozen bundle, which is as small."""
    return DIGITS if DIGITS.is_dir() else GOLDEN


@pytest.fixture(scope="session")
def apk(tmp_path_factory: pytest.TempPathFactory, bundle: Path, cli: Cli) -> Path:
    path = tmp_path_factory.mktemp("an apk") / "app.apk"
    done = cli("android", "build", bundle, "-o", path, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["bytes"] == path.stat().st_size == sum(said["parts"].values())
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    return path


def output(*words: str | Path) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_it_is_signed(apk: Path, tmp_path: Path) -> None:
    said = output("apksigner", "verify", "--verbose", "--min-sdk-version", "26", apk)
    assert "Verified using v2 scheme (APK Signature Scheme v2): true" in said
    assert "Verified using v3 scheme (APK Signature Scheme v3): true" in said
    content = bytearray(apk.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "changed.apk").write_bytes(content)
    done = subprocess.run(
        ["apksigner", "verify", "--min-sdk-version", "26", tmp_path / "changed.apk"],
        check=False,
        capture_output=True,
    )
    assert done.returncode != 0


def test_its_manifest(apk: Path) -> None:
    said = output("aapt2", "dump", "badging", apk)
    assert "package: name='dev.edgepipeline.app' versionCode='100' versionName='0.1.0'" in said
    assert re.search(r"^(sdkVersion|minSdkVersion):'26'$", said, re.MULTILINE)
    assert "targetSdkVersion:'36'" in said
    assert "native-code: 'arm64-v8a'" in said
    assert "launchable-activity: name='dev.edgepipeline.app.MainActivity'" in said
    assert "uses-permission" not in said
    assert "debuggable" not in said
    assert "permission" not in output("aapt2", "dump", "permissions", apk).replace(
        "package: dev.edgepipeline.app", ""
    )
    tree = output("aapt2", "dump", "xmltree", "--file", "AndroidManifest.xml", apk)
    for part in ("dev.edgepipeline.app.CommandInstrumentation", "extractNativeLibs"):
        assert part in tree
    provider = tree.partition("E: provider")[2].partition("E: ")[0]
    assert "dev.edgepipeline.app.SharedFiles" in provider
    assert re.search(r"exported\(\w+\)=false", provider)


def test_it_knows_the_operators_that_torchscript_may_use(apk: Path) -> None:
    with zipfile.ZipFile(apk) as archive:
        for name, file in lists().items():
            assert archive.read(name) == file.read_bytes()


def test_the_bundle_is_in_it_to_the_byte(apk: Path, bundle: Path) -> None:
    opened = open_bundle(bundle)
    folder = f"assets/bundles/{opened.manifest.name}.bundle/"
    with zipfile.ZipFile(apk) as archive:
        infos = {
            info.filename.removeprefix(folder): info
            for info in archive.infolist()
            if info.filename.startswith("assets/")
        }
        assert set(infos) == {"manifest.json", *opened.manifest.listed}
        for name, info in infos.items():
            assert archive.read(info) == (bundle / name).read_bytes()
            assert info.compress_type == zipfile.ZIP_STORED


def data_offsets(apk: Path) -> Iterator[tuple[zipfile.ZipInfo, int]]:
    """Where the content of each entry begins, by the local headers."""
    with zipfile.ZipFile(apk) as archive, apk.open("rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset + 26)
            name, extra = struct.unpack("<HH", file.read(4))
            yield info, info.header_offset + 30 + name + extra


def test_what_is_stored_begins_on_a_page(apk: Path) -> None:
    output("zipalign", "-c", str(PAGE), apk)
    stored = [
        (info.filename, offset)
        for info, offset in data_offsets(apk)
        if info.compress_type == zipfile.ZIP_STORED
    ]
    assert len(stored) > 10
    assert [name for name, offset in stored if offset % PAGE] == []


def segments(library: bytes) -> Iterator[tuple[int, int, int]]:
    """(offset, address, alignment) of what is loaded of a 64-bit ELF file."""
    assert library[:5] == b"\x7fELF\x02"
    (table,) = struct.unpack_from("<Q", library, 32)
    size, count = struct.unpack_from("<HH", library, 54)
    for number in range(count):
        kind, _, offset, address, _, _, _, alignment = struct.unpack_from(
            "<IIQQQQQQ", library, table + number * size
        )
        if kind == 1:  # PT_LOAD
            yield offset, address, alignment


def test_libraries_load_on_pages_of_16_kb(apk: Path) -> None:
    with zipfile.ZipFile(apk) as archive:
        names = [name for name in archive.namelist() if name.endswith(".so")]
        assert {name.rpartition("/")[2] for name in names} == LIBRARIES
        for name in names:
            found = list(segments(archive.read(name)))
            assert found
            for offset, address, alignment in found:
                assert alignment % PAGE == 0, name
                assert (address - offset) % PAGE == 0, name


def test_it_is_small(apk: Path, bundle: Path) -> None:
    parts = sizes(apk)
    print(f"\n{apk.stat().st_size / 1e6:.2f} MB with {bundle.name}")  # noqa: T201
    for what, size in parts.items():
        print(f"{size / 1e6:8.2f} MB  {what}")  # noqa: T201
    assert parts["bundles"] > 0
    assert apk.stat().st_size <= BUDGET


MISSING = re.compile(r"^Missing (class|method|field) (.+?) \(referenced from: ", re.MULTILINE)


def java_8(folder: Path) -> Path:
    """The classes of Java 8, as the JDK keeps them for `javac --release 8`."""
    path, written = folder / "java8.jar", set()
    with (
        zipfile.ZipFile(jdk() / "lib" / "ct.sym") as signatures,
        zipfile.ZipFile(path, "w") as jar,
    ):
        for file in signatures.namelist():
            releases, _, rest = file.partition("/")
            first, _, below = rest.partition("/")
            name = (below if "." in first else rest).removesuffix(".sig") + ".class"
            if "8" in releases and file.endswith(".sig") and name not in written:
                written.add(name)
                jar.writestr(name, signatures.read(file))
    assert "java/lang/Object.class" in written
    return path


def references(kind: str, what: str) -> tuple[str, str]:
    """(class, member) of `android.view.WindowInsets$Type`, `int a.b.C.m(int)`, `int a.b.C.f`."""
    if kind == "class":
        return descriptor(what), ""
    words = what.partition("(")[0].split()[-1]
    owner, _, member = words.rpartition(".")
    return descriptor(owner), member


def descriptor(name: str) -> str:
    return f"L{name.replace('.', '/')};"


def is_about(reference: str, owner: str, member: str) -> bool:
    """Whether what a method refers to is that member, or anything of that class."""
    if member:
        return reference.startswith(f"{owner}.{member}:")
    return reference == owner or reference.startswith(f"{owner}.")


def exposed(dex: Dex, missing: set[tuple[str, str]]) -> list[str]:
    """What refers to something missing without a look at the version."""
    return sorted(
        f"{name} refers to {owner}{member}"
        for owner, member in missing
        for name, method in dex.methods.items()
        if any(is_about(one, owner, member) for one in method.references) and not dex.guarded(name)
    )


def test_what_api_26_lacks_stands_behind_a_version_check(apk: Path, tmp_path: Path) -> None:
    jars = fetch([known.R8, known.OLDEST], Silent())
    with zipfile.ZipFile(apk) as archive:
        archive.extract("classes.dex", tmp_path)
    done = subprocess.run(
        [
            *("java", *QUICK, "-cp", jars[known.R8]),
            "com.android.tools.r8.tracereferences.TraceReferences",
            *("--check", "--lib", java_8(tmp_path), "--lib", jars[known.OLDEST]),
            *("--source", tmp_path / "classes.dex"),
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    missing = {references(*found) for found in MISSING.findall(done.stdout + done.stderr)}
    assert missing or done.returncode == 0, done.stderr
    dex = read_dex(tmp_path / "classes.dex")
    assert len(dex.methods) > 500
    assert exposed(dex, missing) == []
    assert ("Landroid/view/WindowInsets;", "getInsets") in missing
    # The same without the checks: this test can fail.
    for method in dex.methods.values():
        method.references -= {one for one in method.references if one.startswith(SDK_INT)}
    assert exposed(dex, missing)
