"""docs/configuration.md says what pipeline/config/ does."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def check(repository: Path) -> subprocess.CompletedProcess[str]:
    script = repository / "scripts" / "config_docs.py"
    return subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False
    )


def test_the_page_is_up_to_date() -> None:
    done = check(REPOSITORY)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("change", ["changed", "removed"])
def test_a_page_that_is_not_is_found(tmp_path: Path, change: str) -> None:
    for file in ("scripts/config_docs.py", "docs/configuration.md"):
        (tmp_path / file).parent.mkdir()
        shutil.copy2(REPOSITORY / file, tmp_path / file)
    page = tmp_path / "docs" / "configuration.md"
    assert check(tmp_path).returncode == 0
    if change == "removed":
        page.unlink()
    else:
        page.write_text(page.read_text(encoding="utf-8").replace("`10`", "`11`"), encoding="utf-8")
    done = check(tmp_path)
    assert done.returncode == 1
    assert done.stderr == "configuration.md is not up to date: run scripts/config_docs.py\n"
