"""Which artifacts go into the bundle, and what is said of each: what `verify` measured."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.bundle import manifest
from pipeline.errors import UsageError, VerdictError
from pipeline.workspace.artifacts import Artifact, read_index
from pipeline.workspace.results.base import read_if_there
from pipeline.workspace.results.quantize import QUANTIZE, Quantization
from pipeline.workspace.results.verdict import FIGURES, Outcome, Verdict, VerdictRow, worst

HINT = (
    "pipeline verify shows every row; --allow-failed packs all the same and says so in the bundle."
)

# The folders of an absolute path, also one with blanks in it as long as it stands in quotes.
ABSOLUTE = re.compile(r"(?<=['\"])(?:[A-Za-z]:)?[/\\][^'\"]*[/\\]|(?<![\w.])(?:/[^/\s'\":]+)+/")
LONGEST = 1000  # characters of a reason


@dataclass(frozen=True)
class Choice:
    """An artifact, the stage folder that it lies in, and its rows of the verdict."""

    artifact: Artifact
    folder: Path
    rows: tuple[VerdictRow, ...]

    @property
    def verdict(self) -> Outcome:
        """The worst of its rows; `inconclusive` where no runtime ran it."""
        if not self.rows:
            return "inconclusive"
        return worst(row.verdict for row in self.rows)


def choose(folders: Mapping[str, Path], verdict: Verdict, allow_failed: bool) -> list[Choice]:
    """Every artifact, those of export first.

    Raises VerdictError if the verdict, or that of an artifact, is `fail`, or no runtime ran it,
    unless `allow_failed`; UsageError if there is none. What is inconclusive is packed as that, and
    no reader takes it by itself.
    """
    choices = [
        Choice(artifact, folders[stage], _rows_of(verdict, artifact.id))
        for stage in ("export", "quantize")
        for artifact in read_index(folders[stage])
    ]
    if not choices:
        raise UsageError("There is no artifact to pack: export made none.", "[export] formats.")
    if not allow_failed:
        _refuse_what_did_not_pass(verdict.verdict, choices)
    return choices


def held_back(quantize: Path) -> list[str]:
    """Why a search has left a format in float, a sentence each; it says no timings."""
    quantization = read_if_there(quantize / QUANTIZE, Quantization)
    searches = quantization.searches if quantization else []
    return [search.held_back for search in searches if search.held_back]


def _refuse_what_did_not_pass(outcome: Outcome, choices: Sequence[Choice]) -> None:
    unproven = [choice for choice in choices if choice.verdict == "fail" or not choice.rows]
    if outcome != "fail" and not unproven:
        return
    lines = [
        f"\n  {choice.artifact.id} in {row.runtime}: {'; '.join(row.reasons)}"
        for choice in unproven
        for row in choice.rows
        if row.verdict == "fail"
    ]
    lines += [
        f"\n  {choice.artifact.id}: no runtime has run it" for choice in unproven if not choice.rows
    ]
    why = "Not everything has passed" if outcome != "fail" else "The verdict is fail"
    raise VerdictError(f"{why}: the bundle is not packed.{''.join(lines)}", HINT)


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


def _rows_of(verdict: Verdict, artifact_id: str) -> tuple[VerdictRow, ...]:
    return tuple(row for row in verdict.rows if row.artifact == artifact_id)


def _over_all_samples(rows: Sequence[VerdictRow]) -> list[VerdictRow]:
    """A phone has answered the golden samples alone. What it says counts in the verdict, but is no
    result of the bundle, whose bytes do not depend on which phone was at hand."""
    return [row for row in rows if row.device is None]


def _tolerances(
    rows: Sequence[VerdictRow], outputs: Sequence[str]
) -> tuple[manifest.Tolerances, ...]:
    """One for each output, from the first runtime that answered: they are the same for all."""
    for row in rows:
        bounds = {output.name: output.tolerances for output in row.outputs}
        if all(name in bounds for name in outputs):
            return tuple(manifest.Tolerances(**dict(bounds[name])) for name in outputs)
    return ()


def _result(row: VerdictRow) -> manifest.Result:
    return manifest.Result(
        runtime=row.runtime,
        verdict=row.verdict,
        reasons=tuple(without_paths(reason) for reason in row.why),
        **{name: finite(getattr(row, name)) for name in (*FIGURES, "metric", "drop")},
    )


def without_paths(text: str) -> str:
    """One printable line in which absolute paths are cut down to the file's name: what a runtime
    says of a file may name the folder that it was verified in."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return ABSOLUTE.sub("", " ".join(line.split()))[:LONGEST]


def finite(value: float | None) -> float | None:
    """JSON has no NaN: what is not a number has no meaning in a manifest."""
    return value if value is not None and math.isfinite(value) else None
