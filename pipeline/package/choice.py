"""Which artifacts go into the bundle, and what is said of each: what `verify` measured."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import Artifact, read_index
from pipeline.bundle import manifest
from pipeline.bundle.values import Verdict
from pipeline.errors import VerdictError
from pipeline.progress import Reporter

VERDICT = "verdict.json"
HINT = (
    "pipeline verify shows every row; --allow-failed packs all the same and says so in the bundle."
)

# The folders of an absolute path, also one with blanks in it as long as it stands in quotes.
ABSOLUTE = re.compile(r"(?<=['\"])(?:[A-Za-z]:)?[/\\][^'\"]*[/\\]|(?<![\w.])(?:/[^/\s'\":]+)+/")
LONGEST = 1000  # characters of a reason

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """An artifact, the stage folder that it lies in, and its rows of the verdict."""

    artifact: Artifact
    folder: Path
    rows: tuple[Row, ...]

    @property
    def verdict(self) -> Verdict:
        """`inconclusive` where no runtime ran it."""
        if not self.rows:
            return "inconclusive"
        return "pass" if all(row["verdict"] == "pass" for row in self.rows) else "fail"


def choose(
    folders: Mapping[str, Path], verdict: Mapping[str, Any], allow_failed: bool, report: Reporter
) -> list[Choice]:
    """The artifacts that are fit to be shipped, those of export before those of quantize.

    `allow_failed` takes all. Otherwise raises VerdictError if the verdict, or that of an fp32
    artifact, is not `pass`; quantized or unverified artifacts that did not pass are left out, with
    a warning.
    """
    found = [
        Choice(artifact, folders[stage], _rows_of(verdict, artifact.id))
        for stage in ("export", "quantize")
        for artifact in read_index(folders[stage])
    ]
    if allow_failed:
        return found
    failed = [choice for choice in found if choice.verdict == "fail"]
    if verdict["verdict"] != "pass" or any(c.artifact.precision == "fp32" for c in failed):
        raise VerdictError(_what_failed(verdict, failed), HINT)
    for choice in found:
        if choice.verdict == "inconclusive":
            report.warn(f"{choice.artifact.id} is left out: no runtime here has run it.")
        elif choice.verdict == "fail":
            report.warn(f"{choice.artifact.id} is left out: {_reasons(choice.rows)}.")
    passed = [choice for choice in found if choice.verdict == "pass"]
    if not passed:
        raise VerdictError("No artifact has been verified: there is nothing to pack.", HINT)
    return passed


def entry(choice: Choice, file: manifest.File, outputs: Sequence[str]) -> manifest.Artifact:
    """What the manifest says of an artifact that lies in the bundle as `file`."""
    artifact = choice.artifact
    return manifest.Artifact(
        id=artifact.id,
        format=artifact.format,
        precision=artifact.precision,
        recipe=artifact.recipe,
        file=file.file,
        bytes=file.bytes,
        sha256=file.sha256,
        version=artifact.version,
        made_for=artifact.made_for,
        operators=dict(sorted(artifact.operators.items())),
        tolerances=_tolerances(choice.rows, outputs),
        verdict=choice.verdict,
        results=tuple(_result(row) for row in choice.rows),
    )


def _rows_of(verdict: Mapping[str, Any], artifact_id: str) -> tuple[Row, ...]:
    return tuple(row for row in verdict["rows"] if row["artifact"] == artifact_id)


def _reasons(rows: Sequence[Row]) -> str:
    return "; ".join(f"{row['runtime']}: {reason}" for row in rows for reason in row["reasons"])


def _what_failed(verdict: Mapping[str, Any], failed: Sequence[Choice]) -> str:
    lines = [
        f"\n  {choice.artifact.id} in {row['runtime']}: {'; '.join(row['reasons'])}"
        for choice in failed
        for row in choice.rows
        if row["verdict"] != "pass"
    ]
    return f"The verdict is {verdict['verdict']}: the bundle is not packed.{''.join(lines)}"


def _tolerances(rows: Sequence[Row], outputs: Sequence[str]) -> tuple[manifest.Tolerances, ...]:
    """One for each output, from the first runtime that answered: they are the same for all."""
    for row in rows:
        given = {output["name"]: output["tolerances"] for output in row["outputs"]}
        if all(name in given for name in outputs):
            return tuple(manifest.Tolerances(**given[name]) for name in outputs)
    return ()


def _result(row: Row) -> manifest.Result:
    return manifest.Result(
        runtime=row["runtime"],
        verdict=row["verdict"],
        reasons=tuple(without_paths(reason) for reason in row["reasons"]),
        **{name: finite(row[name]) for name in FIGURES},
    )


FIGURES = ("max_abs", "max_rel", "cosine", "sqnr_db", "top1", "metric", "drop")


def without_paths(text: str) -> str:
    """One printable line in which absolute paths are cut down to the file's name: what a runtime
    says of a file may name the folder that it was verified in."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return ABSOLUTE.sub("", " ".join(line.split()))[:LONGEST]


def finite(value: float | None) -> float | None:
    """JSON has no NaN: what is not a number has no meaning in a manifest."""
    return value if value is not None and math.isfinite(value) else None
