"""Every error that a user can cause or cure.

PipelineError          exit code
├── VerdictError       1
├── UsageError         2
├── SetupError         3
├── DamagedError       4
│   ├── OutdatedError
│   └── UnsafeModelError
└── Interrupted        130
"""


class PipelineError(Exception):
    """A sentence for the user, and what to do about it.

    `message` names the file, key or layer; `hint` is the remedy. `exit_code` is the status that
    the command line ends with.
    """

    exit_code = 2

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class VerdictError(PipelineError):
    """The artifacts do not answer as the reference does."""

    exit_code = 1


class UsageError(PipelineError):
    """A command line, a configuration, a user's model or data that does not fit."""

    exit_code = 2


class SetupError(PipelineError):
    """This machine lacks something: a package, space, a right, a free workspace."""

    exit_code = 3


class DamagedError(PipelineError):
    """A file is not what its record says, or not what it should be."""

    exit_code = 4


class OutdatedError(DamagedError):
    """A file that another version of this program has written."""


class UnsafeModelError(DamagedError):
    """A model file that does more than compute."""


class Interrupted(PipelineError):
    """Ctrl-C or SIGTERM; what was done is saved."""

    exit_code = 130


def brief(error: BaseException) -> str:
    """Type and first line: `KeyError: 8`. Libraries add whole graphs and tracebacks below it."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"


def first_line(error: BaseException) -> str:
    """The first line of an error's text; its type where the text is empty."""
    return _line(error, 0)


def last_line(error: BaseException) -> str:
    """The last line: what an error is whose text is a traceback."""
    return _line(error, -1)


def _line(error: BaseException, index: int) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[index] if lines else type(error).__name__
    return line if len(line) <= 240 else f"{line[:237]}..."
