"""What doctor finds: on this machine, and in surroundings made of real files and programs."""

import json
from pathlib import Path

import pytest

from pipeline.devices.doctor import TOOLS, Check, examine
from pipeline.runner.headers import onnxruntime_version
from tests.conftest import Cli

METADATA = """\
Metadata-Version: 2.1
Name: edge-pipeline
Version: 9
Requires-Dist: numpy>=999
Requires-Dist: a-package-that-nobody-has>=1.5
Requires-Dist: an-option-that-nobody-has>=2; extra == "option"
Requires-Dist: pytest>=999; extra == "dev"
"""


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name.split()[0]: check for check in checks}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole search path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def write_program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    """A folder for the import path in which the package declares what nobody has."""
    info = tmp_path / "path" / "edge_pipeline-9.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(METADATA)
    return info.parent


def test_here_nothing_is_missing(cli: Cli) -> None:
    done = cli("doctor", "--json")
    assert done.returncode == 0, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    for name in ("Python", "torch", "onnx", "onnxruntime", "typer"):
        assert checks[name]["status"] == "ok", checks[name]
    assert checks["onnxruntime"]["wanted"] == f"=={onnxruntime_version()}"
    assert {"CPU int8", "cores", "memory", "free disk here", "GPU"} <= checks.keys()
    assert "pytest" not in checks  # for work on the pipeline, not with it
    assert "edge-pipeline" not in checks


def test_packages_are_compared_with_what_the_package_declares(
    declared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(declared)
    checks = by_name(examine())
    assert checks["numpy"].status == "warn"
    assert checks["numpy"].remedy == "pip install 'numpy>=999'"
    assert checks["a-package-that-nobody-has"].status == "missing"
    option = checks["an-option-that-nobody-has"]
    assert (option.status, option.found) == ("warn", "none")
    assert "optional" in option.name
    assert "pytest" not in checks


def test_what_is_missing_ends_with_exit_code_3_and_the_command(declared: Path, cli: Cli) -> None:
    done = cli("doctor", env={"PYTHONPATH": str(declared)})
    assert done.returncode == 3
    assert "Missing: a-package-that-nobody-has" in done.stderr
    assert "pip install 'a-package-that-nobody-has>=1.5'" in done.stderr


def test_tools_are_compared_by_version(programs: Path) -> None:
    write_program(programs, "g++", "echo 13.2.0")
    write_program(programs, "cmake", "echo cmake version 3.1.0")
    write_program(programs, "ninja", "echo 1.9")  # 1.9 is older than 1.11
    write_program(programs, "java", "echo 'openjdk version \"21.0.1\" 2023' >&2")
    write_program(programs, "mvn", "echo no memory for a JVM >&2; exit 1")
    write_program(programs, "zipalign", "echo Zip alignment utility; exit 2")
    checks = by_name(examine())
    assert (checks["g++"].status, checks["g++"].found) == ("ok", "13.2.0")
    assert (checks["cmake"].status, checks["cmake"].found) == ("warn", "3.1.0")
    assert checks["cmake"].remedy == "sudo apt-get install -y cmake"
    assert (checks["ninja"].status, checks["ninja"].found) == ("warn", "1.9")
    assert (checks["java"].status, checks["java"].found) == ("ok", "21.0.1")
    assert checks["maven"].status == "warn"
    assert checks["maven"].found == "does not print its version: no memory for a JVM"
    assert (checks["zipalign"].status, checks["zipalign"].found) == ("ok", "there")


def test_without_any_tool_each_comes_with_its_command(programs: Path) -> None:
    checks = by_name(examine())
    for tool in TOOLS:
        check = checks[tool.name]
        assert (check.found, check.status) == ("none", "warn")
        assert check.remedy == f"sudo apt-get install -y {tool.package}"


@pytest.mark.parametrize(
    ("script", "status", "found"),
    [
        ("echo 'Card One, 24576 MiB, 575.1'; echo 'Card Two, 24576 MiB, 575.1'", "ok", "Card Two"),
        ("echo driver and library differ; exit 18", "warn", "driver and library differ"),
        ("exit 9", "warn", "status 9"),
    ],
)
def test_cards_are_what_nvidia_smi_tells(
    programs: Path, script: str, status: str, found: str
) -> None:
    write_program(programs, "nvidia-smi", script)
    check = by_name(examine())["GPU"]
    assert check.status == status
    assert found in check.found
    assert "\n" not in check.found
