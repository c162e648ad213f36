"""Fixtures for the tests of scripts/setup."""

import shutil
from pathlib import Path

import pytest

from tests.setup.checkout import (
    BUILD,
    PYPROJECT,
    REPOSITORY,
    ROOM,
    Checkout,
    digest,
    pack_wheel,
    pin,
)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of the packages in `BUILD` and of uv, packed from what is installed here."""
    folder = tmp_path_factory.mktemp("wheels with space")
    for name in (*BUILD, "uv"):
        pack_wheel(name, folder)
    return folder


@pytest.fixture
def checkout(tmp_path: Path, wheels: Path) -> Checkout:
    if shutil.disk_usage(tmp_path).free < ROOM:
        pytest.skip(f"less than {ROOM >> 30} GB are free for temporary files")
    folder = tmp_path / "a clöne"
    (folder / "scripts").mkdir(parents=True)
    (folder / "tiny").mkdir()
    (folder / "tiny" / "__init__.py").write_text("VALUE = 1\n")
    (folder / "pyproject.toml").write_text(PYPROJECT)
    shutil.copy2(REPOSITORY / "scripts" / "setup", folder / "scripts")
    lines = [f"{pin(wheel)} \\\n    --hash=sha256:{digest(wheel)}" for wheel in wheels.iterdir()]
    (folder / "requirements.lock").write_text("\n".join(sorted(lines)) + "\n")
    return Checkout(folder, wheels)
