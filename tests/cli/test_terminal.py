"""What a person sees in a terminal: bars that leave nothing behind, and what was meant to stay."""

import json
import re
import sys
from pathlib import Path

import pytest

from pipeline.workspace.stage import STAGES
from tests.cli.terminal import Seen, in_terminal, pipeline_in_terminal
from tests.conftest import write_tiny

MOST = 200_000  # bytes of one command; a bar that is drawn ten times a second writes 2 kB of them
WIDTHS = (80, 120)

# The bar is drawn by another thread, as it is ten times a second.
DRAWN = """
import sys, threading
from pipeline.cli.console import Terminal

terminal = Terminal()
{setup}

def draw(bar):
    thread = threading.Thread(target=bar.draw)
    thread.start()
    thread.join()

with terminal.bar("work", 40) as bar:
    for step in range(40):
        {work}
        draw(bar)
terminal.show("done")
"""


def drawn(work: str, setup: str = "", columns: int = 80) -> Seen:
    seen = in_terminal(columns, [sys.executable, "-c", DRAWN.format(work=work, setup=setup)])
    assert seen.code == 0, seen.text
    assert seen.has_drawn_a_bar
    assert seen.remains == []
    return seen


HANDLER = """
import logging
handler = logging.StreamHandler()
record = logging.makeLogRecord({"msg": "kept"})
"""
SILENCE = "from pipeline.system.silence import silence"


def test_a_bar_goes_on_where_what_is_printed_is_dropped() -> None:
    work = 'with silence():\n            print("noise"); bar.advance(1, "text"); draw(bar)'
    seen = drawn(work, SILENCE)
    assert len(seen.written) < 40_000
    assert seen.screen == ("done",)


def test_a_library_that_takes_the_output_away_does_not_take_the_bar() -> None:
    setup = "import contextlib, io\ntaken = io.StringIO()"
    seen = drawn("with contextlib.redirect_stdout(taken): print(step); draw(bar)", setup)
    assert len(seen.written) < 40_000
    assert seen.screen == ("done",)


@pytest.mark.parametrize(
    ("work", "setup", "stays"),
    [
        ("print('line', step)", "", [f"line {step}" for step in range(40)]),
        ("print('.', end='', flush=True)", "", ["." * 40]),
        ("print(f'\\r{step + 1} of 40', end='', file=sys.stderr, flush=True)", "", ["40 of 40"]),
        ("sys.stdout.buffer.write(b'raw\\n'); sys.stdout.flush()", "", ["raw"] * 40),
        # Who has taken the stream before a bar was there keeps it.
        (
            "logging.warning('hears %d', step)",
            "import logging",
            [f"WARNING:root:hears {step}" for step in range(40)],
        ),
        ("handler.emit(record)", HANDLER, ["kept"] * 40),
    ],
    ids=["lines", "pieces", "a bar of its own", "bytes", "logging", "a handler made before"],
)
def test_what_a_library_prints_stands_above_the_bar(
    work: str, setup: str, stays: list[str]
) -> None:
    seen = drawn(work, setup)
    assert seen.screen == (*stays, "done")
    assert len(seen.written) < 60_000


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_bar_is_one_line(columns: int) -> None:
    text = "torchscript-int8-static-arm64 in cpp-libtorch, 12345 samples/s, Accuracy 0.9889"
    seen = drawn(f"bar.advance(1, {text!r})", columns=columns)
    assert seen.wrapped == ()
    assert seen.screen == ("done",)
    lines = re.split(rb"\r|\n", seen.written)
    longest = max(lines, key=len).decode()
    assert "work" in longest
    assert "40/40" in seen.written.decode()  # never `4…`
    assert ("torchscript-int8" in longest) == (columns >= 80)


def test_silence_drops_what_this_thread_prints_however_it_does(
    capfd: pytest.CaptureFixture[str],
) -> None:
    import threading

    from pipeline.system.silence import silence

    def other() -> None:
        print("another thread")  # noqa: T201

    with silence():
        print("dropped")  # noqa: T201
        sys.stdout.write("dropped")
        sys.stdout.buffer.write(b"dropped")
        print("dropped", file=sys.stderr)  # noqa: T201
        assert sys.stdout.encoding
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    print("after")  # noqa: T201
    out, err = capfd.readouterr()
    assert out == "another thread\nafter\n"
    assert err == ""


# Every command that draws a bar, on a whole project

NOISE = """
import logging
import os
import sys

log = logging.getLogger("noise")
log.addHandler(logging.StreamHandler())


class Noise(nn.Module):
    def forward(self, x):
        print("printed by the model")
        log.warning("logged by the model")
        return x
"""


def project(folder: Path) -> Path:
    """The tiny one with int8 searched for; its bars have the longest texts."""
    gate, recipes = ("gate = false\n", ""), ('recipes = ["int8-static"]', 'recipes = ["auto"]')
    return write_tiny(folder, [gate, recipes])


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("terminal") / "tiny")


@pytest.mark.slow
@pytest.mark.parametrize("columns", WIDTHS)
def test_a_run_leaves_what_was_meant(worked: Path, columns: int) -> None:
    # Started as a person starts it: libraries that are imported may print, too.
    words = [sys.executable, "-m", "pipeline.cli", "run", "--force", "-c", str(worked)]
    check(in_terminal(columns, words), STAGES)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_leaves_what_was_meant(worked: Path, stage: str) -> None:
    """Behind the runs above, or by itself."""
    if not (worked / "runs").is_dir():
        check(pipeline_in_terminal(80, "run", "-c", worked), STAGES)
    seen = pipeline_in_terminal(80, stage, "--force", "-c", worked)
    check(seen, STAGES[: STAGES.index(stage) + 1])


@pytest.mark.slow
def test_drift_and_explain_leave_what_was_meant(worked: Path) -> None:
    if not (worked / "runs").is_dir():
        check(pipeline_in_terminal(80, "run", "-c", worked), STAGES)
    for options in (
        ("quantize", "--explain"),
        ("verify", "--drift", "onnx-fp32"),
        ("train", "--profile", "--force"),
    ):
        check(pipeline_in_terminal(80, *options, "-c", worked), ())


def check(seen: Seen, stages: tuple[str, ...]) -> None:
    assert seen.code == 0, seen.text
    assert seen.has_drawn_a_bar
    assert len(seen.written) < MOST
    assert seen.remains == []
    # A path is never broken: it would not be found again.
    assert [
        line for line in seen.wrapped if not re.match(r"Bundle |Report |Plot |  Trace|/", line)
    ] == []
    named = [
        line.split(" ", 1)[0] for line in seen.screen if re.match(r"\w+ \(.*(s|fresh)\)", line)
    ]
    assert [name for name in named if name in STAGES] == list(stages)
    assert "…" not in seen.text


@pytest.mark.slow
def test_what_a_model_prints_breaks_neither_bar_nor_json(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "noisy")
    code = (folder / "tiny.py").read_text()
    code = code.replace("nn.Flatten(), ", "nn.Flatten(), Noise(), ").replace(
        "\n\ndef build_data", f"\n{NOISE}\nos.write(1, b'written by C\\n')\n\n\ndef build_data"
    )
    (folder / "tiny.py").write_text(code)
    seen = pipeline_in_terminal(100, "export", "-c", folder)
    assert seen.code == 0, seen.text
    assert seen.remains == []
    assert "printed by the model" in seen.screen
    assert "logged by the model" in seen.screen
    again = pipeline_in_terminal(100, "export", "--force", "--json", "-c", folder, pipe_output=True)
    assert again.code == 0, again.text
    assert json.loads(again.piped)["stages"][-1]["stage"] == "export"
    assert again.remains == []
    assert "written by C" in again.text
