"""Which artifacts go into the bundle, and what is said of each: what `verify` measured."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.bundle import manifest
from pipeline.bundle.values import Verdict
from pipeline.errors import UsageError, VerdictError
from pipeline.workspace.artifacts import Artifact, read_index, read_json

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
        """The worst of its rows; `inconclusive` where no runtime ran it."""
        if not self.rows:
            return "inconclusive"
        found = {row["verdict"] for row in self.rows}
        words: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")
        return next(word for word in words if word in found)


def choose(
    folders: Mapping[str, Path], verdict: Mapping[str, Any], allow_failed: bool
) -> list[Choice]:
    """Every artifact, those of export first.

    Raises VerdictError if the verdict, or that of an artifact, is `fail`, or no runtime ran it,
    unless `allow_failed`; UsageError if there is none. What is inconclusive is packed as that, and
    no reader takes it by itself.
    """
    found = [
        Choice(artifact, folders[stage], _rows_of(verdict, artifact.id))
        for stage in ("export", "quantize")
        for artifact in read_index(folders[stage])
    ]
    if not found:
        raise UsageError("There is no artifact to pack: export made none.", "[export] formats.")
    if not allow_failed:
        _refuse_what_did_not_pass(verdict["verdict"], found)
    return found


def held_back(quantize: Path) -> list[str]:
    """Why a search has left a format in float, a sentence each; it says no timings."""
    path = quantize / "quantize.json"
    searches = read_json(path).get("searches", []) if path.is_file() else []
    return [search["held_back"] for search in searches if search["held_back"]]


def _refuse_what_did_not_pass(verdict: str, found: Sequence[Choice]) -> None:
    unproven = [choice for choice in found if choice.verdict == "fail" or not choice.rows]
    if verdict != "fail" and not unproven:
        return
    lines = [
        f"\n  {choice.artifact.id} in {row['runtime']}: {'; '.join(row['reasons'])}"
        for choice in unproven
        for row in choice.rows
        if row["verdict"] == "fail"
    ]
    lines += [
        f"\n  {choice.artifact.id}: no runtime has run it" for choice in unproven if not choice.rows
    ]
    said = "Not everything has passed" if verdict != "fail" else f"The verdict is {verdict}"
    raise VerdictError(f"{said}: the bundle is not packed.{''.join(lines)}", HINT)


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
        results=tuple(_result(row) for row in _over_all_samples(choice.rows)),
    )


def _rows_of(verdict: Mapping[str, Any], artifact_id: str) -> tuple[Row, ...]:
    return tuple(row for row in verdict["rows"] if row["artifact"] == artifact_id)


def _over_all_samples(rows: Sequence[Row]) -> list[Row]:
    """A phone has answered the golden samples alone. What it says counts in the verdict, but is no
    result of the bundle, whose bytes do not depend on which phone was at hand."""
    return [row for row in rows if "device" not in row]


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
        reasons=tuple(without_paths(reason) for reason in (*row["reasons"], *row["open"])),
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
