"""Every error that a user can cause or cure.

PipelineError
├── VerdictError      1    the artifacts do not answer as the reference does
├── UsageError        2    a command line, a configuration, a user's model or data that does not fit
├── SetupError        3    this machine lacks something: a package, space, a right, a free workspace
├── DamagedError      4    a file is not what its record says, or not what it should be
│   └── UnsafeModelError   a model file that does more than compute
└── Interrupted     130    Ctrl-C or SIGTERM; what was done is saved
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
    exit_code = 1


class UsageError(PipelineError):
    exit_code = 2


class SetupError(PipelineError):
    exit_code = 3


class DamagedError(PipelineError):
    exit_code = 4


class UnsafeModelError(DamagedError):
    pass


class Interrupted(PipelineError):
    exit_code = 130
