"""scripts/setup, on a small checkout without a network."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.setup.checkout import REPOSITORY, Checkout

NOBODY = 65534
TOOLS = ("awk", "basename", "bash", "cat", "df", "dirname", "env", "flock", "mkdir", "sha256sum")


@pytest.mark.slow
def test_a_fresh_checkout_is_set_up_once(checkout: Checkout) -> None:
    first = checkout.run()
    assert first.returncode == 0, first.stderr
    assert "uv did not get through" not in first.stderr
    assert checkout.python("import tiny; print(tiny.VALUE)") == "1"
    assert not (checkout.folder / ".venv" / "setup-cache").exists()

    stamp = checkout.stamp.stat()
    started = time.monotonic()
    second = checkout.run()
    assert second.returncode == 0
    assert second.stderr == ""
    assert time.monotonic() - started < 2
    assert checkout.stamp.stat().st_mtime_ns == stamp.st_mtime_ns

    (checkout.folder / "tiny" / "__init__.py").write_text("VALUE = 2\n")
    assert checkout.python("import tiny; print(tiny.VALUE)") == "2", "it is not editable"


@pytest.mark.slow
def test_what_changes_is_noticed(checkout: Checkout) -> None:
    assert checkout.run().returncode == 0
    with (checkout.folder / "pyproject.toml").open("a") as file:
        file.write('description = "changed"\n')
    changed = checkout.run()
    assert changed.returncode == 0, changed.stderr
    assert "bringing .venv up to date" in changed.stderr
    assert checkout.python(
        "from importlib import metadata as m; print(m.metadata('tiny')['Summary'])"
    )

    moved = Checkout(checkout.folder.rename(checkout.folder.with_name("moved")), checkout.wheels)
    again = moved.run()
    assert again.returncode == 0, again.stderr
    assert "making .venv" in again.stderr
    assert str(moved.folder) in moved.python("import tiny; print(tiny.__file__)")


@pytest.mark.slow
def test_an_interrupted_run_is_completed_and_two_at_once_agree(checkout: Checkout) -> None:
    setup = [checkout.folder / "scripts" / "setup"]
    environment = checkout.environment()
    running = subprocess.Popen(
        setup, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    packages = checkout.folder / ".venv" / "lib"
    deadline = time.monotonic() + 60
    while not packages.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert packages.exists()
    assert not checkout.stamp.exists()

    both = [
        subprocess.Popen(setup, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("waiting for it" in text for text in said) == 1
    assert sum("done in" in text for text in said) == 1
    assert checkout.python("import tiny; print(tiny.VALUE)") == "1"


@pytest.mark.slow
def test_pip_installs_where_uv_is_not_told_how(checkout: Checkout) -> None:
    done = checkout.run({"UV_OFFLINE": ""})
    assert done.returncode == 0, done.stderr
    assert "pip is configured for this network" in done.stderr
    assert checkout.python("import tiny, hatchling; print(tiny.VALUE)") == "1"


@pytest.mark.slow
def test_a_wrong_hash_is_refused(checkout: Checkout) -> None:
    lock = checkout.folder / "requirements.lock"
    text = lock.read_text()
    at = text.index("sha256:", text.index("hatchling==")) + len("sha256:")
    lock.write_text(text[:at] + "0" * 64 + text[at + 64 :])
    done = checkout.run()
    assert done.returncode == 3
    assert "pip could not install; the reason stands above." in done.stderr
    assert not checkout.stamp.exists()


@pytest.fixture
def bare() -> Iterator[Path]:
    """A checkout that anybody may write into; `bin` has apt-get and a shell's tools, no Python."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scripts").mkdir()
        (folder / "bin").mkdir()
        shutil.copy2(REPOSITORY / "scripts" / "setup", folder / "scripts")
        for file in ("requirements.lock", "pyproject.toml"):
            shutil.copy2(REPOSITORY / file, folder)
        for tool in TOOLS:
            (folder / "bin" / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool}"))
        (folder / "bin" / "apt-get").symlink_to(shutil.which("apt-get") or pytest.skip("no apt"))
        folder.chmod(0o777)
        yield folder


def run_bare(bare: Path, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """setup as somebody who is not root, with `bin` alone in the search path."""
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    as_user = drop if os.geteuid() == 0 else []
    search = f"PATH={bare / 'bin'}"
    return subprocess.run(
        [*before, *as_user, "env", "-i", search, str(bare / "scripts" / "setup")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


LINE = "\n    sudo apt-get update && sudo apt-get install -y python3-venv\n"


def test_without_python_it_prints_the_line_to_run(bare: Path) -> None:
    done = run_bare(bare)
    assert done.returncode == 3, done.stderr
    assert LINE in done.stderr


def test_without_apt_it_says_what_to_install(bare: Path) -> None:
    (bare / "bin" / "apt-get").unlink()
    done = run_bare(bare)
    assert done.returncode == 3, done.stderr
    assert "install Python 3.11 or newer" in done.stderr


def test_without_ensurepip_it_prints_the_line_to_run(bare: Path) -> None:
    """Debian's Python as it is without python3-venv."""
    python = "/usr/bin/python3"
    if os.geteuid() != 0 or not Path(python).exists():
        pytest.skip("hiding a part of the system's Python takes root")
    (bare / "bin" / "python3").symlink_to(python)
    (bare / "nothing").mkdir()
    code = "import ensurepip; print(ensurepip.__path__[0])"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    hide = f"mount --bind '{bare / 'nothing'}' '{found.stdout.strip()}' && " if found.stdout else ""
    before = ["unshare", "--mount", "sh", "-c", f'{hide} exec "$@"', "sh"]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount here")
    done = run_bare(bare, before)
    assert done.returncode == 3, done.stderr
    assert LINE in done.stderr


def test_a_read_only_checkout_is_said_so(bare: Path) -> None:
    bare.chmod(0o555)
    done = run_bare(bare)
    bare.chmod(0o777)
    assert done.returncode == 3
    assert "no right to write into" in done.stderr


@pytest.mark.parametrize("script", ["scripts/setup", "scripts/lock", ".ci/run"])
def test_scripts_are_sound(script: str) -> None:
    checker = ["shellcheck"] if shutil.which("shellcheck") else ["bash", "-n"]
    done = subprocess.run(
        [*checker, REPOSITORY / script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert os.access(REPOSITORY / script, os.X_OK)
