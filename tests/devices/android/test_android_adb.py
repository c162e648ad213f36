"""The real adb: what it says of no device, several, unauthorized ones and failed installs."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.devices.android import adb
from pipeline.devices.android.phone import Question, ask
from pipeline.errors import PipelineError
from tests.devices.android.adb_server import Devices, serving
from tests.devices.android.scripted import CRASH, CRASH_LOG, SERIAL, instrumentation

ADB = shutil.which("adb")
pytestmark = pytest.mark.skipif(ADB is None, reason="no adb")
OTHER = "emulator-5554"
GETPROP = ("getprop ro.product.cpu.abilist", "arm64-v8a,armeabi-v7a\n")


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (adb.VARIABLE, "ANDROID_SERIAL", "ANDROID_ADB_SERVER_PORT", "ADB_SERVER_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.fixture
def own_server(variables: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The real server as well, on a port and with keys of its own; ended afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables.setenv("ANDROID_ADB_SERVER_PORT", str(port))
    variables.setenv("HOME", str(tmp_path))
    yield
    subprocess.run(["adb", "kill-server"], check=True, capture_output=True, timeout=30)


def refusal(devices: Devices, variables: pytest.MonkeyPatch, serial: str | None = None) -> str:
    with serving(devices) as address, pytest.raises(PipelineError) as failed:
        variables.setenv("ADB_SERVER_SOCKET", address)
        adb.find_phone(serial)
    return f"{failed.value.message} {failed.value.hint}"


def test_no_device(own_server: None) -> None:
    with pytest.raises(PipelineError, match="No device is connected") as failed:
        adb.find_phone(None)
    assert "USB debugging" in (failed.value.hint or "")


def test_states(variables: pytest.MonkeyPatch) -> None:
    assert "No device" in refusal(Devices({}), variables)
    assert "does not trust this computer" in refusal(Devices({SERIAL: "unauthorized"}), variables)
    assert f"The device {SERIAL} is offline" in refusal(Devices({SERIAL: "offline"}), variables)
    two = Devices({SERIAL: "device", OTHER: "device"})
    said = refusal(two, variables)
    assert "several devices" in said
    assert "--serial" in said
    assert "no device nowhere" in refusal(two, variables, "nowhere")
    udev = "no permissions (missing udev rules? user is in the plugdev group)"
    assert "may not use the device" in refusal(Devices({SERIAL: udev}), variables)


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        (
            "Failure [INSTALL_FAILED_NO_MATCHING_ABIS: Failed to extract libraries, res=-113]",
            "no libraries for this device's kind of CPU, arm64-v8a",
        ),
        ("Failure [INSTALL_FAILED_INSUFFICIENT_STORAGE]", "its storage is full"),
        ("Failure [INSTALL_FAILED_MADE_UP: who knows]", "INSTALL_FAILED_MADE_UP"),
    ],
)
def test_a_failed_install(
    said: str, meaning: str, variables: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    apk = tmp_path / "app.apk"
    apk.write_bytes(bytes(4096))
    with serving(Devices({SERIAL: "device"}, [GETPROP], f"{said}\n")) as address:
        variables.setenv("ADB_SERVER_SOCKET", address)
        phone = adb.find_phone(None)
        with pytest.raises(PipelineError, match="refuses the app") as failed:
            adb.install(phone, str(apk))
    assert meaning in failed.value.message


def test_the_one_that_is_chosen_installs_and_answers(
    variables: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    apk = tmp_path / "app.apk"
    apk.write_bytes(bytes(300_000))
    answer = {"schema": 1, "results": [{"names": ['quoted "text"', "two\nlines"] * 100}]}
    shell = [GETPROP, ("am instrument", instrumentation(answer))]
    devices = Devices({SERIAL: "device", OTHER: "device"}, shell)
    with serving(devices) as address:
        variables.setenv("ADB_SERVER_SOCKET", address)
        phone = adb.find_phone(SERIAL)
        assert phone.abis == ("arm64-v8a", "armeabi-v7a")
        adb.install(phone, str(apk))
        assert ask(phone, Question("selfcheck"), 20) == answer


def test_a_crash_shows_the_log(variables: pytest.MonkeyPatch) -> None:
    shell = [GETPROP, ("am instrument", CRASH), ("logcat", CRASH_LOG)]
    with serving(Devices({SERIAL: "device"}, shell)) as address:
        variables.setenv("ADB_SERVER_SOCKET", address)
        phone = adb.find_phone(None)
        with pytest.raises(PipelineError, match=r"Process crashed(.|\n)*libonnxruntime\.so"):
            ask(phone, Question("selfcheck"), 20)


def test_a_device_that_is_gone(variables: pytest.MonkeyPatch) -> None:
    states = {SERIAL: "device"}
    with serving(Devices(states, [GETPROP])) as address:
        variables.setenv("ADB_SERVER_SOCKET", address)
        phone = adb.find_phone(None)
        states.clear()
        with pytest.raises(PipelineError, match=f"The device {SERIAL} is gone"):
            ask(phone, Question("selfcheck"), 20)
