"""The wheel holds all that the installed command needs, far from any checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import pipeline
from pipeline.devices.android import sources as android
from pipeline.runner.sources import PARTS

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = (
    "pipeline",
    "cpp_runner",
    "android",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    ".gitignore",
)


@dataclass(frozen=True)
class Installed:
    """A venv with the wheel; the packages that it needs are reached in this one's folder."""

    wheel: Path
    venv: Path
    elsewhere: Path

    @property
    def packages(self) -> Path:
        return next((self.venv / "lib").glob("python3*/site-packages"))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        return subprocess.run(
            [self.venv / "bin" / command[0], *command[1:]],
            cwd=self.elsewhere,
            env={**environment, "COLUMNS": "200", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )


def must(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    home = tmp_path_factory.mktemp("a wheel")
    source = home / "source"
    source.mkdir()
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            unmade = shutil.ignore_patterns("build", "target", "__pycache__")
            shutil.copytree(REPOSITORY / name, source / name, ignore=unmade)
        else:
            shutil.copy2(REPOSITORY / name, source / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    offline = ("--no-deps", "--no-index")
    must(*pip, "wheel", *offline, "--no-build-isolation", "-w", home / "wheels", source)
    (wheel,) = (home / "wheels").glob("*.whl")
    shutil.rmtree(source)

    venv = home / "venv"
    must(sys.executable, "-m", "venv", "--without-pip", venv)
    must(*pip, "--python", venv / "bin" / "python", "install", *offline, wheel)
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    made = Installed(wheel, venv, elsewhere)
    # A plain line: what .pth files there would add, such as this checkout, is not followed.
    (made.packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return made


def test_every_file_of_the_package_is_in_it_and_nothing_else(installed: Installed) -> None:
    home = Path(pipeline.__file__).parent
    wanted = {
        path.relative_to(home.parent).as_posix()
        for path in home.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    runner = home.parent / "cpp_runner"
    for part in PARTS:
        files = [runner / part, *(runner / part).rglob("*")]
        wanted |= {f"pipeline/{p.relative_to(home.parent)}" for p in files if p.is_file()}
    app = home.parent / "android"
    for part in (*android.PARTS, android.RULES):
        files = [app / part, *(app / part).rglob("*")]
        wanted |= {f"pipeline/android_app/{p.relative_to(app)}" for p in files if p.is_file()}
    with zipfile.ZipFile(installed.wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if ".dist-info/" not in name} == wanted
    assert "pipeline/project/templates/pipeline.toml" in wanted
    assert any(name.endswith(".html") for name in wanted)


def test_what_is_imported_is_the_wheels(installed: Installed) -> None:
    code = (
        "import importlib.metadata as m, pipeline\n"
        "print(pipeline.__file__, pipeline.__version__, m.version('edge-pipeline'))"
    )
    done = installed.run("python", "-c", code)
    file, own, declared = done.stdout.rsplit(maxsplit=2)
    assert Path(file).is_relative_to(installed.packages)
    assert own == declared


def test_the_command_answers(installed: Installed) -> None:
    done = installed.run("pipeline", "--help")
    assert done.returncode == 0, done.stderr
    assert "pipeline init my-model" in done.stdout
    for stage in ("train", "export", "quantize", "verify", "bench", "package"):
        assert stage in done.stdout


def test_doctor_finds_what_the_wheel_declares(installed: Installed) -> None:
    done = installed.run("pipeline", "doctor", "--json")
    assert done.returncode == 0, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["torch"]["status"] == "ok"


@pytest.mark.full
def test_a_new_project_goes_all_the_way(installed: Installed) -> None:
    done = installed.run("pipeline", "init", "new")
    assert done.returncode == 0, done.stderr
    quick = [
        *("--set", "train.epochs=1", "--set", "train.threads=1", "--set", "data.args={train=64}"),
        *("--set", "bench.seconds=0.05", "--set", "bench.batch_sizes=[1]", "--allow-failed"),
    ]
    done = installed.run("pipeline", "run", "-c", "new", "--json", *quick)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert Path(result["bundle"], "manifest.json").is_file()
    assert Path(result["report"]).is_file()
