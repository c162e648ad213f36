"""The app on a phone, asked by `am instrument`: self-check and benchmark as JSON."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from pipeline.devices.android.adb import Phone, last_line
from pipeline.devices.android.answers import Benchmark, SelfCheck
from pipeline.devices.android.sources import APP_ID
from pipeline.errors import DamagedError, SetupError, UsageError
from pipeline.system.progress import Reporter
from pipeline.workspace.artifacts import Artifact

COMPONENT = f"{APP_ID}/.CommandInstrumentation"
# A key and its value, which goes on until the next one: `INSTRUMENTATION_RESULT: status=ok`.
# What passes between two of Android's processes is limited: a long answer comes by several STATUS.
RESULT = re.compile(
    r"^INSTRUMENTATION_(?:RESULT|STATUS): ([^=\n]+)=(.*?)(?=^INSTRUMENTATION_|\Z)",
    re.MULTILINE | re.DOTALL,
)
SCHEMA = 1

What = Literal["selfcheck", "benchmark"]
AnyAnswer = TypeVar("AnyAnswer", SelfCheck, Benchmark)


@dataclass(frozen=True)
class Question:
    """What the app is asked. Without `artifact` it answers for all that the engine can run."""

    command: What
    engine: str = "cpu"
    artifact: str | None = None
    threads: int = 1
    bundle: str | None = None

    def words(self) -> list[str]:
        options = {
            "command": self.command,
            "engine": self.engine,
            "artifact": self.artifact,
            "threads": str(self.threads),
            "bundle": self.bundle,
        }
        pairs = [(key, shlex.quote(value)) for key, value in options.items() if value]
        return [word for key, value in pairs for word in ("-e", key, value)]


def ask_each(
    phone: Phone,
    question: Question,
    artifacts: Sequence[Artifact],
    patience: float,
    report: Reporter,
    model: type[AnyAnswer],
) -> list[AnyAnswer]:
    """An answer for each artifact that the engine can run, or for the one that is named; each in a
    process of its own on the phone. Raises UsageError where there is none, DamagedError for an
    answer that `model` does not fit, and as `ask`."""
    format = "torchscript" if question.engine == "pytorch" else "onnx"
    runnable = [one.id for one in artifacts if one.format == format]
    fitting = [name for name in runnable if question.artifact in (None, name)]
    if not fitting:
        known = ", ".join(runnable) or "none"
        raise UsageError(
            f"The engine {question.engine} cannot run {question.artifact or 'any artifact'} of "
            f"this workspace; it runs {format} artifacts: {known}."
        )
    answers = []
    with report.bar(f"{question.command} on {phone.serial}", len(fitting)) as bar:
        for name in fitting:
            bar.advance(0, name)
            answer = ask(phone, replace(question, artifact=name), patience)
            answers.append(_fit(answer, model))
            bar.advance(1)
    return answers


def ask(phone: Phone, question: Question, patience: float) -> dict[str, Any]:
    """The app's answer: `device` and `results`, as docs/android.md has them.

    Raises SetupError where the app is not installed, crashes or takes too long; UsageError with
    its own words where it refuses the question; DamagedError for an answer that is none.
    """
    done = phone.call(
        *("shell", "am", "instrument", "-r", "-w", *question.words(), COMPONENT),
        patience=patience,
    )
    output = done.stdout
    if "Unable to find instrumentation" in output + done.stderr:
        raise SetupError(
            f"The app is not on {phone.serial}.", "pipeline android install APK puts it there."
        )
    results = {key: value.rstrip("\r\n") for key, value in RESULT.findall(output)}
    if "status" not in results:
        why = results.get("shortMsg") or last_line(output + done.stderr)
        raise SetupError(
            f"The app ended without an answer: {why}. The last lines of the device's log:\n"
            f"{phone.last_log()}"
        )
    if results["status"] != "ok":
        raise UsageError(f"The app on {phone.serial} says: {results.get('message', '')}.")
    return _parse(results)


def _fit(answer: dict[str, Any], model: type[AnyAnswer]) -> AnyAnswer:
    try:
        return model.model_validate_json(json.dumps(answer), strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, fault["loc"]))
        raise DamagedError(
            f"This version does not understand the app's answer: {key}: {fault['msg']}.",
            "Build and install the app of this version: pipeline android build",
        ) from None


def _parse(results: Mapping[str, str]) -> dict[str, Any]:
    try:
        count = int(results["result.count"])
        text = "".join(results[f"result.{index}"] for index in range(count))
        answer: dict[str, Any] = json.loads(text)
    except (KeyError, ValueError) as error:
        raise DamagedError(f"The app's answer is incomplete: {error!r}.", "Try again.") from error
    if answer.get("schema") != SCHEMA:
        raise DamagedError(
            f"The app answers in schema {answer.get('schema')}; this version reads {SCHEMA}.",
            "Build and install the app of this version: pipeline android build",
        )
    return answer
