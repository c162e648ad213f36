"""`pipeline android install|verify|bench` against an adb that answers from a script."""

import json
import re
from pathlib import Path

import pytest

from pipeline.workspace.artifacts import read_json, write_json
from pipeline.workspace.folder import Workspace
from tests.conftest import Cli
from tests.devices.android.conftest import Project
from tests.devices.android.scripted import (
    CRASH,
    CRASH_LOG,
    DEVICE,
    ONE,
    SERIAL,
    Script,
    check,
    instrumentation,
    measured,
    refusal,
)

pytestmark = pytest.mark.slow

ROW = "android-onnxruntime"


def answers(script: Script, project: Project, engine: str = "cpu") -> Script:
    """A phone whose app answers every question about this workspace."""
    script.phone()
    for artifact in project.artifacts("torchscript" if engine == "pytorch" else "onnx"):
        for command, answer in (("selfcheck", check), ("benchmark", measured)):
            out = instrumentation(answer(artifact, engine))
            script.on("am", "instrument", command, artifact.id, out=out)
    return script


def test_rows_of_a_phone_join_the_verdict(project: Project, script: Script, cli: Cli) -> None:
    before = project.json("verify/verdict.json")
    bundle = {p.name: p.read_bytes() for p in project.bundle.rglob("*") if p.is_file()}
    answers(script, project)
    done = cli("android", "verify", "-c", project.folder, env=script.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"{ROW} .*\n +· Google Pixel 8, Android 15", done.stdout)

    verdict = project.json("verify/verdict.json")
    new = [row for row in verdict["rows"] if row["runtime"] == ROW]
    assert [row["artifact"] for row in new] == [one.id for one in project.artifacts("onnx")]
    assert verdict["rows"] == [*before["rows"], *new]
    assert verdict["verdict"] == "pass"
    assert {row["golden_samples"] for row in new} == {2}
    assert {row["max_abs"] for row in new} == {2e-6}
    assert SERIAL not in json.dumps(verdict)  # it names a person's phone

    # verify is fresh with them, the report and package take them, and the bundle's bytes stay.
    states = json.loads(cli("status", "-c", project.folder, "--json").stdout)["stages"]
    assert {one["stage"]: one["state"] for one in states}["verify"] == "fresh"
    done = cli("run", "-c", project.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {p.name: p.read_bytes() for p in project.bundle.rglob("*") if p.is_file()} == bundle
    page = (project.workspace / "report" / "index.html").read_text("utf-8")
    assert page.count(f"{ROW} · Google Pixel 8, Android 15") >= len(new)


def test_asked_again_a_phone_replaces_its_rows(project: Project, script: Script, cli: Cli) -> None:
    answers(script, project)
    for _ in range(2):
        done = cli("android", "verify", "-c", project.folder, env=script.environment)
        assert done.returncode == 0, done.stdout + done.stderr
    rows = project.json("verify/verdict.json")["rows"]
    assert sum(row["runtime"] == ROW for row in rows) == len(project.artifacts("onnx"))


def test_a_row_that_fails_makes_the_verdict_fail(
    project: Project, script: Script, cli: Cli
) -> None:
    first, *others = project.artifacts("onnx")
    why = "probabilities: largest error 0.5, 0.0001 allowed"
    bad = check(first, verdict="fail", reasons=[why])
    script.phone().on("am", "instrument", first.id, out=instrumentation(bad))
    for artifact in others:
        script.on("am", "instrument", artifact.id, out=instrumentation(check(artifact)))
    done = cli("android", "verify", "-c", project.folder, env=script.environment)
    assert done.returncode == 1
    assert why in done.stderr
    assert project.json("verify/verdict.json")["verdict"] == "fail"
    done = cli("run", "-c", project.folder)
    assert done.returncode == 1
    assert f"{first.id} in {ROW}" in done.stderr


def test_what_was_inconclusive_stays_so(project: Project, script: Script, cli: Cli) -> None:
    """A phone sees the golden samples alone: it settles nothing."""
    workspace = Workspace(project.workspace)
    with workspace.lock("the test"), workspace.amend("verify") as draft:
        found = read_json(draft.folder / "verdict.json")
        found["rows"][-1]["verdict"] = found["verdict"] = "inconclusive"
        write_json(draft.folder / "verdict.json", found)
    answers(script, project)
    done = cli("android", "verify", "-c", project.folder, env=script.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.json("verify/verdict.json")["verdict"] == "inconclusive"


def test_a_check_that_cannot_fail_proves_nothing(
    project: Project, script: Script, cli: Cli
) -> None:
    artifact = project.artifacts("onnx")[0]
    blind = check(artifact, perturbed={"sample": 1, "failed": False, "max_abs": 0.0})
    script.phone().on("am", "instrument", artifact.id, out=instrumentation(blind))
    asked = ("--artifact", artifact.id)
    done = cli("android", "verify", "-c", project.folder, *asked, env=script.environment)
    assert done.returncode == 1
    assert "damaged on purpose, passes" in done.stderr


def test_another_app_than_the_workspaces(project: Project, script: Script, cli: Cli) -> None:
    artifact = project.artifacts("onnx")[0]
    other = check(artifact, sha256="f" * 64)
    script.phone().on("am", "instrument", out=instrumentation(other))
    before = (project.workspace / "verify" / "record.json").read_bytes()
    done = cli("android", "verify", "-c", project.folder, env=script.environment)
    assert done.returncode == 2
    assert f"another {artifact.id} than this workspace" in done.stderr
    assert (project.workspace / "verify" / "record.json").read_bytes() == before


def test_timings_of_a_phone_join_bench(project: Project, script: Script, cli: Cli) -> None:
    answers(script, project, "pytorch")
    options = ("-c", project.folder, "--engine", "pytorch", "--threads", "4")
    done = cli("android", "bench", *options, "--json", env=script.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row["artifact"] for row in rows] == [one.id for one in project.artifacts("torchscript")]
    for row in rows:
        assert (row["runtime"], row["p50_ms"], row["runs"]) == ("android-pytorch", 1.31, 64)
        assert row["throughput"]["1"] == pytest.approx(1e3 * 64 / sum(row["latencies_ms"]))
    assert project.json("bench/bench.json")["rows"][-len(rows) :] == rows
    called = next(call for call in script.calls if "instrument" in call)
    for words in (["-e", "command", "benchmark"], ["-e", "engine", "pytorch"]):
        at = called.index(words[1])
        assert called[at - 1 : at + 2] == words
    done = cli("package", "-c", project.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    card = (project.workspace / "package" / "MODEL-CARD.md").read_text("utf-8")
    assert "## Latency on Google Pixel 8, Android 15" in card


def test_a_stale_workspace_is_not_added_to(project: Project, script: Script, cli: Cli) -> None:
    stale = ("--set", "verify.samples=32")
    done = cli("android", "verify", "-c", project.folder, *stale, env=script.environment)
    assert done.returncode == 2
    assert "verify is stale" in done.stderr
    assert script.calls == []


NO_DEVICE = "List of devices attached\n\n"
TWO = f"List of devices attached\n{SERIAL}\tdevice\nemulator-5554\tdevice\n\n"
FAILURES = {
    "no device": ([["devices"], 0, NO_DEVICE, ""], 3, ["No device", "USB debugging"]),
    "unauthorized": (
        [["devices"], 0, ONE.replace("\tdevice", "\tunauthorized"), ""],
        3,
        ["does not trust this computer", "Unlock it"],
    ),
    "no permission": (
        [["devices"], 0, ONE.replace("\tdevice", "\tno permissions (missing udev rules?)"), ""],
        3,
        ["may not use the device", "android-sdk-platform-tools-common"],
    ),
    "offline": ([["devices"], 0, ONE.replace("\tdevice", "\toffline"), ""], 3, ["is offline"]),
    "two devices": ([["devices"], 0, TWO, ""], 2, [SERIAL, "emulator-5554", "--serial"]),
    "adb does not start": (
        [["devices"], 1, "", "* failed to start daemon\nadb: cannot connect to daemon\n"],
        3,
        ["adb does not start", "cannot connect to daemon"],
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_no_phone_to_ask(name: str, script: Script, cli: Cli, tmp_path: Path) -> None:
    answer, status, words = FAILURES[name]
    script.answers.append(answer)
    expect(script, cli, tmp_path, status, words)


REFUSALS = {
    "wrong ABI": (
        "Failure [INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract native libraries, res=-113]",
        ["no libraries for this device's kind of CPU, x86_64", "--abi x86_64"],
    ),
    "storage full": (
        "Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]",
        ["storage is full", "Free some space"],
    ),
    "no space": (
        "adb: failed to install app.apk: Exception occurred: java.io.IOException: "
        "Requested internal only, but not enough space",
        ["storage is full"],
    ),
    "another key": (
        "Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: Existing package dev.edgepipeline.app "
        "signatures do not match newer version; ignoring!]",
        ["signed with another key", "adb uninstall"],
    ),
    "too old": ("Failure [INSTALL_FAILED_OLDER_SDK]", ["too old", "API 26"]),
    "anything else": ("Failure [INSTALL_FAILED_SOMETHING_NEW]", ["INSTALL_FAILED_SOMETHING_NEW"]),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_phone_that_refuses_the_app(name: str, script: Script, cli: Cli, tmp_path: Path) -> None:
    said, words = REFUSALS[name]
    script.phone("x86_64").on("install", "-r", err=f"adb: failed to install\n{said}\n", status=1)
    expect(script, cli, tmp_path, 3, words)


def test_installed(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.phone().on("install", "-r", out="Performing Streamed Install\nSuccess\n")
    done = expect(script, cli, tmp_path, 0, [])
    assert f"Installed on {SERIAL}" in done
    assert script.calls[-1][:3] == ["-s", SERIAL, "install"]


def test_the_device_that_is_named(script: Script, cli: Cli, tmp_path: Path) -> None:
    script.on("devices", out=TWO).on("getprop", out="x86_64\n").on("install", out="Success\n")
    expect(script, cli, tmp_path, 0, [], "--serial", "emulator-5554")
    assert all(call[:2] == ["-s", "emulator-5554"] for call in script.calls[1:])
    expect(script, cli, tmp_path, 2, ["no device nowhere", SERIAL], "--serial", "nowhere")


def test_no_adb(script: Script, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "app.apk").touch()
    missing = {**script.environment, "ADB": str(tmp_path / "none")}
    done = cli("android", "install", tmp_path / "app.apk", env=missing)
    assert done.returncode == 3
    assert "adb was not found" in done.stderr
    assert "apt-get install adb" in done.stderr


def expect(
    script: Script, cli: Cli, folder: Path, status: int, words: list[str], *more: str
) -> str:
    """Runs `pipeline android install` and looks for words in what it says."""
    apk = folder / "app.apk"
    apk.touch()
    done = cli("android", "install", apk, *more, env=script.environment)
    assert done.returncode == status, done.stdout + done.stderr
    said = " ".join((done.stdout + done.stderr).replace("│", " ").split())
    for word in words:
        assert word in said
    assert "Traceback" not in said
    return said


ENDS = {
    "a crash": (
        ["instrument", 0, CRASH, ""],
        3,
        ["Process crashed", "SIGSEGV", "libonnxruntime.so"],
    ),
    "no answer in time": (["instrument", "sleep", "", ""], 3, ["did not answer within 1 s"]),
    "an app that is not there": (
        [
            "instrument",
            0,
            "",
            "android.util.AndroidException: INSTRUMENTATION_FAILED: dev.edgepipeline.app/"
            ".CommandInstrumentation\nUnable to find instrumentation info for: ComponentInfo{}\n",
        ],
        3,
        [f"The app is not on {SERIAL}", "pipeline android install"],
    ),
    "a question that it refuses": (
        ["instrument", 0, refusal("there is no engine nnapi; there are: cpu xnnpack"), ""],
        2,
        ["there is no engine nnapi; there are: cpu xnnpack"],
    ),
    "a phone that is unplugged": (
        ["instrument", 1, "", f"error: device '{SERIAL}' not found\n"],
        3,
        ["is gone"],
    ),
    "an answer that is cut short": (
        [
            "instrument",
            0,
            "INSTRUMENTATION_RESULT: result.count=3\nINSTRUMENTATION_RESULT: result.0={\n"
            "INSTRUMENTATION_RESULT: status=ok\nINSTRUMENTATION_CODE: -1\n",
            "",
        ],
        4,
        ["incomplete"],
    ),
    "an app of another version": (
        ["instrument", 0, instrumentation({"schema": 2, "device": DEVICE, "results": []}), ""],
        4,
        ["schema 2"],
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_questions_that_end_badly(name: str, packed: Project, script: Script, cli: Cli) -> None:
    (word, answer, out, err), status, words = ENDS[name]  # type: ignore[misc]
    script.phone().on(word, out=out, err=err, status=answer)  # type: ignore[has-type]
    script.on("logcat", "crash", out=CRASH_LOG)
    before = (packed.workspace / "verify" / "record.json").read_bytes()
    asked = ("-c", packed.folder, *(("--timeout", "1") if answer == "sleep" else ()))  # type: ignore[has-type]
    done = cli("android", "verify", *asked, env=script.environment)
    assert done.returncode == status, done.stdout + done.stderr
    said = " ".join((done.stdout + done.stderr).replace("│", " ").split())
    for wanted in words:
        assert wanted in said
    assert (packed.workspace / "verify" / "record.json").read_bytes() == before
