"""`adb`, and what its failures mean."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.devices.android.process import run
from pipeline.errors import SetupError, UsageError

VARIABLE = "ADB"  # another adb than the one on the path
PATIENCE_S = 60.0
LOG_LINES = 15

# What the package manager says: what it means, and what to do.
REFUSED = {
    "INSTALL_FAILED_NO_MATCHING_ABIS": (
        "the APK has no libraries for this device's kind of CPU, {abi}",
        "Build it for that one: pipeline android build BUNDLE --abi {abi}",
    ),
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": (
        "its storage is full",
        "Free some space on the device; the app needs about twice the size of the APK.",
    ),
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": (
        "an app of the same name, signed with another key, is installed",
        "Remove it first: adb uninstall dev.edgepipeline.app",
    ),
    "INSTALL_FAILED_VERSION_DOWNGRADE": (
        "a newer version of the app is installed",
        "Remove it first: adb uninstall dev.edgepipeline.app",
    ),
    "INSTALL_FAILED_OLDER_SDK": (
        "its Android is too old",
        "The app needs Android 8.0 (API 26) or newer.",
    ),
    "INSTALL_FAILED_USER_RESTRICTED": (
        "it does not allow installing over USB",
        "Allow it in the device's developer options.",
    ),
}


@dataclass(frozen=True)
class Phone:
    """One device. `adb` is the program, `abis` what its CPU runs, the best first."""

    adb: str
    serial: str
    abis: tuple[str, ...]

    def call(self, *words: str, patience: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """Raises SetupError where the device is gone or does not answer in time."""
        done = _run([self.adb, "-s", self.serial, *words], patience)
        output = done.stderr.strip()
        if done.returncode and ("not found" in output or "offline" in output or "closed" in output):
            raise SetupError(
                f"The device {self.serial} is gone: {last_line(output)}", "Is it connected?"
            )
        return done

    def last_log(self) -> str:
        """The last lines of the log that speak of a crash, or of all."""
        done = self.call("logcat", "-d", "-b", "crash", "-t", "200")
        lines = done.stdout.strip().splitlines()
        if len(lines) < 2:  # nothing but the header
            lines = self.call("logcat", "-d", "-t", str(LOG_LINES)).stdout.strip().splitlines()
        return "\n".join(lines[-LOG_LINES:])


def find_phone(serial: str | None) -> Phone:
    """The device of that serial number, or the only one there is.

    Raises SetupError without adb, a device, or the right to use it; UsageError where there are
    several to choose from.
    """
    adb = os.environ.get(VARIABLE) or shutil.which("adb")
    if adb is None or shutil.which(adb) is None:
        raise SetupError(
            f"adb was not found{f': {adb}' if adb else ''}.",
            "Debian and Ubuntu: sudo apt-get install adb",
        )
    states = _devices(adb)
    serial = _choose(states, serial)
    _check_state(serial, states[serial])
    properties = _run([adb, "-s", serial, "shell", "getprop", "ro.product.cpu.abilist"], PATIENCE_S)
    return Phone(adb, serial, tuple(properties.stdout.strip().split(",")))


def install(phone: Phone, apk: str) -> None:
    """Installs or updates. Raises SetupError that says why the device refuses."""
    done = phone.call("install", "-r", apk, patience=600)
    output = f"{done.stdout}\n{done.stderr}".strip()
    if done.returncode == 0 and "Failure" not in output:
        return
    for code, (why, remedy) in REFUSED.items():
        if code in output:
            abi = phone.abis[0] if phone.abis else "?"
            raise SetupError(
                f"{phone.serial} refuses the app: {why.format(abi=abi)}.",
                remedy.format(abi=abi),
            )
    if "not enough space" in output or "No space left" in output:
        why, remedy = REFUSED["INSTALL_FAILED_INSUFFICIENT_STORAGE"]
        raise SetupError(f"{phone.serial} refuses the app: {why}.", remedy)
    raise SetupError(f"{phone.serial} refuses the app: {last_line(output)}")


def _devices(adb: str) -> dict[str, str]:
    """State by serial number."""
    done = _run([adb, "devices"], PATIENCE_S)
    if done.returncode:
        raise SetupError(
            f"adb does not start: {last_line(done.stderr)}", "adb kill-server, then again"
        )
    lines = done.stdout.partition("List of devices attached")[2].splitlines()
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {serial: state.strip() for serial, state in pairs}


def _choose(states: dict[str, str], serial: str | None) -> str:
    there = ", ".join(f"{name} ({state})" for name, state in states.items())
    if serial is not None:
        if serial not in states:
            raise UsageError(
                f"There is no device {serial}.",
                f"There are: {there}." if there else "There is none.",
            )
        return serial
    if not states:
        raise SetupError(
            "No device is connected.",
            "Connect a phone, switch on USB debugging in its developer options, then: adb devices",
        )
    if len(states) > 1:
        raise UsageError(f"There are several devices: {there}.", "Choose one: --serial SERIAL")
    return next(iter(states))


def _check_state(serial: str, state: str) -> None:
    if state == "device":
        return
    if state.startswith(("unauthorized", "authorizing")):
        raise SetupError(
            f"The device {serial} does not trust this computer yet.",
            "Unlock it and answer its question about USB debugging; then try again.",
        )
    if state.startswith("no permissions"):
        raise SetupError(
            f"This user may not use the device {serial}.",
            "Debian and Ubuntu: sudo apt-get install android-sdk-platform-tools-common; "
            "then connect it again.",
        )
    raise SetupError(
        f"The device {serial} is {state}.", "Connect it again; adb kill-server starts adb anew."
    )


def _run(words: Sequence[str], patience: float) -> subprocess.CompletedProcess[str]:
    try:
        return run(words, patience)
    except subprocess.TimeoutExpired:
        what = " ".join(words[3:5] if words[1] == "-s" else words[1:2])
        raise SetupError(
            f"adb {what} did not answer within {patience:g} s.",
            "Is the device awake and connected? A larger --timeout waits longer.",
        ) from None
    except OSError as error:
        raise SetupError(f"{words[0]} does not start: {error.strerror}.") from error


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "it prints nothing"
