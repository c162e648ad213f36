"""requirements.lock: complete, hashed, and nobody's machine in it."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from pipeline.runner.headers import onnxruntime_version
from tests.setup.checkout import REPOSITORY

LOCK = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
LINES = [line for line in LOCK.replace("\\\n", " ").splitlines() if not line.startswith("#")]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pinned() -> list[Requirement]:
    return [Requirement(line.partition("--hash")[0]) for line in LINES]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_is_pinned_and_hashed() -> None:
    assert len(LINES) > 50
    for line in LINES:
        assert re.fullmatch(
            r"[a-z0-9-]+==\S+( ;[^-]+(-[^-]+)*)? +(--hash=sha256:[0-9a-f]{64} *)+", line
        )


def test_it_names_no_address_and_no_path() -> None:
    assert not re.search(r"://|--(extra-)?index|--find-links|/\w+/", LOCK)


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_what_the_package_needs_is_in_it(text: str) -> None:
    check(Requirement(text))


@pytest.mark.parametrize(
    "text", [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
)
def test_what_the_extras_need_is_in_it(text: str) -> None:
    wanted = Requirement(text)
    if wanted.name != PROJECT["name"]:
        check(wanted)


def check(wanted: Requirement) -> None:
    versions = [
        next(iter(pin.specifier)).version
        for pin in pinned()
        if plain(pin.name) == plain(wanted.name)
    ]
    assert versions, f"{wanted.name} is missing: run scripts/lock"
    for version in versions:
        assert wanted.specifier.contains(version), f"{wanted.name} {version}: run scripts/lock"


def test_the_pins_that_other_parts_rely_on() -> None:
    versions = {pin.name: next(iter(pin.specifier)).version for pin in pinned()}
    assert versions["onnxruntime"] == onnxruntime_version()
    assert versions["torch"].startswith("2.15.")
    assert {"uv", "pip", "hatchling", "editables"} <= versions.keys()
