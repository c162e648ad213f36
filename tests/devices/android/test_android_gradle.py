"""Gradle's files, as far as they can be checked without an Android SDK. Gradle is not run here."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from pipeline import __version__
from pipeline.devices.android import jars as known
from pipeline.devices.android.jars import COMPILER, fetch
from pipeline.devices.android.resources import OLDEST_API, TARGET_API
from pipeline.devices.android.sources import APP_ID, lists
from pipeline.devices.android.tools import java
from pipeline.system.progress import Silent
from tests.conftest import Cli

ANDROID = Path(__file__).parents[3] / "android"
SCRIPTS = sorted(ANDROID.rglob("*.gradle.kts"))
SYNTAX = re.compile("syntax error", re.IGNORECASE)


@pytest.fixture
def catalog() -> Any:
    return tomllib.loads((ANDROID / "gradle" / "libs.versions.toml").read_text("utf-8"))


def test_versions_are_those_of_the_other_builds(catalog: Any) -> None:
    built = {
        jar.coordinate.rpartition(":")[0]: jar.coordinate.rpartition(":")[2]
        for jar in (known.STDLIB, known.ORT_JVM, known.ORT_ANDROID, *known.PYTORCH)
    }
    versions = catalog["versions"]
    assert versions["kotlin"] == built["org.jetbrains.kotlin:kotlin-stdlib"]
    for library in catalog["libraries"].values():
        version = versions[library["version"]["ref"]]
        assert built.get(library["module"], version) == version
    pom = (ANDROID / "pom.xml").read_text("utf-8")
    for name in ("kotlin", "onnxruntime"):
        assert f"<{name}.version>{versions[name]}</{name}.version>" in pom
    for plugin in catalog["plugins"].values():
        assert plugin["version"]["ref"] in versions


def test_what_the_scripts_name_is_in_the_catalog_and_the_folder(catalog: Any) -> None:
    names = {
        *(name.replace("-", ".") for name in catalog["libraries"]),
        *(f"plugins.{name.replace('-', '.')}" for name in catalog["plugins"]),
    }
    used = {
        name.rstrip(".")
        for script in SCRIPTS
        for name in re.findall(r"\blibs\.([a-z.]+)", script.read_text("utf-8"))
    }
    assert used <= names
    assert used
    settings = (ANDROID / "settings.gradle.kts").read_text("utf-8")
    for module in re.findall(r'":(\w+)"', settings):
        assert (ANDROID / module / "build.gradle.kts").is_file()


def test_the_app_is_the_same_as_without_gradle() -> None:
    script = (ANDROID / "app" / "build.gradle.kts").read_text("utf-8")
    for line in (
        f'applicationId = "{APP_ID}"',
        f"minSdk = {OLDEST_API}",
        f"targetSdk = {TARGET_API}",
        f'versionName = "{__version__}"',
    ):
        assert line in script
    core = (ANDROID / "core" / "build.gradle.kts").read_text("utf-8")
    (folder,) = re.findall(r'from\("\$rootDir/\.\./([\w/]+)"\)', core)
    assert set(re.findall(r'"(\w+\.txt)"', core)) == {file.name for file in lists().values()}
    assert all(file == ANDROID.parent / folder / file.name for file in lists().values())


def said_of(script: str, folder: Path) -> str:
    """What the Kotlin compiler says of a script's text within a function: it knows no Gradle, so
    that every name is unresolved, but it has read the text."""
    lines = script.splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    rest = [line for line in lines if not line.startswith("import ")]
    file = folder / "Script.kt"
    file.write_text("\n".join([*imports, "fun script() {", *rest, "}"]), encoding="utf-8")
    jars = fetch([*COMPILER, known.STDLIB], Silent())
    done = subprocess.run(
        java(
            [jars[jar] for jar in COMPILER],
            "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
            *("-no-stdlib", "-no-reflect", "-cp", jars[known.STDLIB], "-d", folder, file),
        ),
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stderr


@pytest.mark.slow
def test_the_scripts_are_kotlin(tmp_path: Path) -> None:
    assert len(SCRIPTS) == 4
    whole = "\n".join(f"run {{\n{script.read_text('utf-8')}\n}}" for script in SCRIPTS)
    imports = re.findall(r"^import .*$", whole, re.MULTILINE)
    body = re.sub(r"^import .*$", "", whole, flags=re.MULTILINE)
    said = said_of("\n".join([*dict.fromkeys(imports), body]), tmp_path)
    assert "unresolved reference" in said.lower()
    assert not SYNTAX.search(said), said
    assert SYNTAX.search(said_of(f"{body}\nval x = (", tmp_path))


def test_without_an_sdk_gradle_is_refused(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    done = cli("android", "build", tmp_path, "--gradle", "-o", tmp_path / "app.apk")
    assert done.returncode == 3
    assert "No Android SDK was found" in done.stderr
    assert "Without --gradle" in done.stderr
