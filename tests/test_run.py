"""The whole way on a tiny project, through the command line, as a user goes it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.command import Command
from tests.conftest import PINNED, Cli, alive, write_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> Path:
    """A tiny project after `pipeline run`. Tests that change it take a copy."""
    folder = write_tiny(tmp_path_factory.mktemp("whole way") / "tiny prøject", PINNED)
    done = cli("run", "-c", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def stages(cli: Cli, folder: Path, *arguments: str) -> dict[str, tuple[bool, str]]:
    """Stage by stage whether it was made, and why, from `--json`."""
    done = cli("run", "-c", folder, "--json", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return {s["stage"]: (s["made"], "; ".join(s["why"])) for s in json.loads(done.stdout)["stages"]}


def bundle_bytes(folder: Path) -> dict[str, bytes]:
    bundle = folder / "runs" / "tiny" / "package" / "tiny.bundle"
    files = (path for path in bundle.rglob("*") if path.is_file())
    return {path.relative_to(bundle).as_posix(): path.read_bytes() for path in files}


def test_all_rows_pass_and_everything_is_there(finished: Path) -> None:
    runs = finished / "runs" / "tiny"
    verdict = json.loads((runs / "verify" / "verdict.json").read_text())
    assert verdict["verdict"] == "pass"
    assert {(row["artifact"], row["runtime"]) for row in verdict["rows"]} >= {
        ("onnx-fp32", "onnxruntime"),
        ("torchscript-fp32", "torchscript"),
        ("onnx-int8-static", "onnxruntime"),
        ("torchscript-int8-static", "torchscript"),
    }
    assert verdict["metric"]["reference"] > 0.9  # the tiny model has really learned
    page = (runs / "report" / "index.html").read_text()
    assert page.count("<svg") >= 8
    assert not re.search(r'(src|href)="http', page)
    assert "manifest.json" in bundle_bytes(finished)


def test_a_second_run_has_nothing_to_do_and_loads_no_torch(finished: Path) -> None:
    code = (
        "import sys; sys.argv = ['pipeline', 'run', '-c', sys.argv[1]]\n"
        "from pipeline.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as done:\n    assert not done.code\n"
        "assert 'torch' not in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, finished], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Everything is fresh" in done.stdout
    assert "tiny.bundle" in done.stdout
    assert "index.html" in done.stdout


def test_status_says_what_is_stale_and_why(finished: Path, cli: Cli) -> None:
    done = cli("status", "-c", finished, "--json")
    assert {s["state"] for s in json.loads(done.stdout)["stages"]} == {"fresh"}
    done = cli("status", "-c", finished, "--json", "--set", "bench.seconds=9.0")
    states = {s["stage"]: s for s in json.loads(done.stdout)["stages"]}
    assert states["bench"]["state"] == "stale"
    assert states["bench"]["why"] == ["config.bench.seconds: 0.05 → 9.0"]
    assert states["verify"]["state"] == "fresh"
    assert states["package"]["why"] == ["bench has to run first"]


def test_only_what_changed_is_made_again(copy: Path, cli: Cli) -> None:
    made = stages(cli, copy, "--set", "verify.samples=64")
    assert [stage for stage, (again, _) in made.items() if again][:1] == ["verify"]
    assert not made["train"][0]
    assert not made["export"][0]


def test_a_comment_in_the_users_file_makes_it_again_with_the_same_bundle(
    copy: Path, cli: Cli
) -> None:
    before = bundle_bytes(copy)
    with (copy / "tiny.py").open("a") as file:
        file.write("# a comment\n")
    made = stages(cli, copy)
    assert made["train"] == (True, "sources.tiny.py changed")
    assert bundle_bytes(copy) == before


def test_a_flipped_byte_is_found_and_rebuilt(copy: Path, cli: Cli) -> None:
    file = copy / "runs" / "tiny" / "export" / "model.fp32.onnx"
    before = file.read_bytes()
    broken = bytearray(before)
    broken[len(broken) // 2] ^= 1
    file.write_bytes(broken)
    done = cli("status", "-c", copy, "--json")
    states = {s["stage"]: s["state"] for s in json.loads(done.stdout)["stages"]}
    assert states["export"] == "damaged"
    made = stages(cli, copy)
    assert made["export"][0]
    assert "model.fp32.onnx is not what was written" in made["export"][1]
    assert file.read_bytes() == before
    assert not made["verify"][0]  # the rebuilt files are what they were


def test_two_folders_give_the_same_bundle(finished: Path, tmp_path: Path, cli: Cli) -> None:
    other = write_tiny(tmp_path / "elsewhere", PINNED)
    env = {"TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": str(tmp_path)}
    done = cli("run", "-c", "elsewhere", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = bundle_bytes(finished), bundle_bytes(other)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def test_a_failed_verdict_stops_the_run(tmp_path: Path, cli: Cli) -> None:
    tolerance = ("max_drop = 0.05", "max_drop = 0.05\nmax_abs = 1e-9")
    folder = write_tiny(tmp_path / "strict", [tolerance])
    for command in ("run", "verify", "package"):
        done = cli(command, "-c", folder)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "onnx-int8-static in onnxruntime" in done.stderr
        assert "--allow-failed" in done.stderr
    assert not (folder / "runs" / "tiny" / "package").exists()
    done = cli("package", "-c", folder, "--allow-failed")
    assert done.returncode == 0, done.stderr
    assert json.loads(bundle_bytes(folder)["manifest.json"])["allow_failed"] is True


def test_a_second_run_at_the_same_time(copy: Path, cli: Cli) -> None:
    from pipeline.workspace.folder import Workspace

    with Workspace(copy / "runs" / "tiny").lock("pipeline run"):
        done = cli("run", "-c", copy)
    assert done.returncode == 3
    assert f"process {os.getpid()}" in done.stderr


def test_sigterm_saves_and_the_next_run_goes_on(tmp_path: Path, finished: Path, cli: Cli) -> None:
    folder = write_tiny(tmp_path / "interrupted", [("epochs = 6", "epochs = 60")])
    scratch = folder / "runs" / "tiny" / ".scratch"
    with Command("train", "-c", folder) as command:
        while not list(alive(scratch, "**/*.safetensors")):  # the first checkpoint
            assert command.returncode is None
            time.sleep(0.02)
        command.send(signal.SIGTERM)
        assert command.wait(60) == 130, command.said()
    assert not (folder / "runs" / "tiny" / "train").exists()
    done = cli("train", "-c", folder)
    assert done.returncode == 0, done.stderr
    whole = write_tiny(tmp_path / "whole", [("epochs = 6", "epochs = 60")])
    assert cli("train", "-c", whole).returncode == 0
    names = [f / "runs" / "tiny" / "train" / "weights.safetensors" for f in (folder, whole)]
    assert names[0].read_bytes() == names[1].read_bytes()


@pytest.mark.parametrize(
    ("override", "code", "said"),
    [
        ("train.epoch=1", 2, "Did you mean 'epochs'"),
        ("train.optimizer=Adamm", 2, "Adamm"),
        ("output.metric=Acuracy", 2, "torchmetrics has no 'Acuracy'"),
        ("model.entry=none.py:f", 2, "there is no file"),
        ('output.labels=["one"]', 2, "label"),
        ("data.args={validation=0}", 2, "validation"),
        ('verify.runtimes=["cuda"]', 2, "no runtime 'cuda'"),
    ],
)
def test_mistakes_end_in_a_sentence(
    tmp_path: Path, cli: Cli, override: str, code: int, said: str
) -> None:
    folder = write_tiny(tmp_path / "wrong", [("epochs = 6", "epochs = 1")])
    done = cli("run", "-c", folder, "--set", override)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in " ".join(done.stderr.replace("│", " ").split())
    if "runtime" in said:  # before hours of training, not after them
        assert not list(folder.glob("runs/*/train"))
    assert "Traceback" not in done.stderr
