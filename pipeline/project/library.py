"""Calls of libraries that not every model suits: what they raise is an answer, not a crash."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import PipelineError, UsageError, brief
from pipeline.project.entries import their_lines
from pipeline.workspace.folder import NO_SPACE


class RefusedError(UsageError):
    """A library does not take this model, this way."""


@contextmanager
def library(what: str, root: Path | None, hint: str) -> Iterator[None]:
    """Whatever a library raises becomes a RefusedError: `what` was done, the error's type and first
    line, and the lines below `root` that it came through (None where no code of the user's is run).

    Nothing but the library's call, and the user's model in it, stands inside: a mistake of ours is
    to stay one."""
    try:
        yield
    except PipelineError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise  # no other recipe cures a full disk
        lines = their_lines(error, root) if root else ""
        raise RefusedError(f"{what}: {brief(error)}{lines}", hint) from error
