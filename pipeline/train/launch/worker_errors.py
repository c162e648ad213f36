"""Why processes of a training ended: each leaves its error in a folder of the launcher's."""

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedError, Interrupted, PipelineError, SetupError, UsageError

FOLDER = "PIPELINE_LAUNCH"  # the environment variable that names the folder
KINDS = {kind.exit_code: kind for kind in (UsageError, SetupError, DamagedError, Interrupted)}
# Errors that come again however often it is tried.
ELASTIC = "elastic"  # a file in the folder: machines may come and go
FINAL = (UsageError.exit_code, DamagedError.exit_code, Interrupted.exit_code)


def folder() -> Path | None:
    """The folder; None in a process that our launcher did not start."""
    path = os.environ.get(FOLDER)
    return Path(path) if path else None


def write(error: PipelineError, lost: bool) -> bool:
    """Leaves an error for the launcher; False if there is none. `lost`: another process's fault."""
    where = folder()
    if where is None or not where.is_dir():
        return False
    row = {
        "at": time.time(),
        "rank": os.environ.get("RANK", "0"),
        "message": error.message,
        "hint": error.hint,
        "code": error.exit_code,
        "lost": lost,
        "attempt": os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"),
    }
    with tempfile.NamedTemporaryFile("w", dir=where, suffix=".tmp", delete=False) as file:
        json.dump(row, file)
    path = Path(file.name)
    path.rename(path.with_suffix(".json"))
    return True


def read_all(where: Path) -> list[dict[str, Any]]:
    """All errors, the causes before what followed from them, then by time."""
    rows = [json.loads(path.read_text()) for path in where.glob("*.json")]
    return sorted(rows, key=lambda row: (row["lost"], row["at"]))


def allow_leaving(where: Path) -> None:
    """An interruption is not the end: a machine came, or left with all saved."""
    (where / ELASTIC).touch()


def final_code(where: Path) -> int | None:
    """The exit code of a process that is started again though it cannot help; None otherwise."""
    final = set(FINAL) - ({Interrupted.exit_code} if (where / ELASTIC).exists() else set())
    return next((row["code"] for row in read_all(where) if row["code"] in final), None)


def as_error(row: dict[str, Any]) -> PipelineError:
    """The error as it was, with the rank that had it."""
    kind = KINDS.get(row["code"], PipelineError)
    prefix = "" if row["rank"] == "0" or kind is Interrupted else f"Rank {row['rank']}: "
    return kind(prefix + row["message"], row["hint"])
