"""What `--json` prints, a model for each command that does not print a file of a stage.

`docs/json/` has their schemas. `pipeline inspect` prints a model of `report/inspection.py`.
"""

from typing import Any, Literal

from pipeline.workspace.results.base import Result
from pipeline.workspace.results.quantize import ExplainedFormat


class StageRun(Result):
    """One stage after a run: whether it was made now, and why it had to be."""

    stage: str
    made: bool
    why: list[str]
    seconds: float
    summary: dict[str, Any]


class Run(Result):
    """`pipeline run` and the command of each stage. Paths are None where nothing was made."""

    workspace: str
    stages: list[StageRun]
    verdict: Literal["pass", "inconclusive", "fail"] | None
    bundle: str | None
    report: str | None


class StageState(Result):
    stage: str
    state: Literal["fresh", "stale", "missing", "damaged"]
    why: list[str]


class Status(Result):
    """`pipeline status`. `quantize` is what the last quantize stage came to, by format."""

    workspace: str
    stages: list[StageState]
    quantize: dict[str, str]


class Report(Result):
    """`pipeline report`: the path of the page."""

    report: str


class Check(Result):
    """One thing that was looked at; `remedy` is the command that cures it."""

    name: str
    found: str
    wanted: str
    status: Literal["ok", "warn", "missing"]
    remedy: str | None


class Doctor(Result):
    """`pipeline doctor`."""

    checks: list[Check]


class Explained(Result):
    """`pipeline quantize --explain`."""

    formats: list[ExplainedFormat]


class Program(Result):
    """`pipeline runner build` and `pipeline android jvm`: the path of what was built."""

    program: str


class RunnerPath(Result):
    """`pipeline runner path`: the program, and all words of the command that starts it."""

    program: str
    words: list[str]


class Apk(Result):
    """`pipeline android build`: the file, and its bytes by what they are."""

    apk: str
    bytes: int
    parts: dict[str, int]


class Installed(Result):
    """`pipeline android install`."""

    serial: str
    apk: str
