"""A data worker's death, told where a batch is awaited.

torch tells of it by a signal handler that raises in whatever line the main thread is at: in the
user's loss, in a checkpoint that is being written, in an `if`. Held back here until the next read.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


class Deaths:
    """One for a process, as signal handlers are: what the handler and those who read share."""

    def __init__(self) -> None:
        self._torchs: Handler | None = None
        self._awaited = False
        self._message: str | None = None

    def __enter__(self) -> None:
        """Around a read: torch's RuntimeError for a worker that ended, now or since the last."""
        message, self._message = self._message, None
        if message:
            raise RuntimeError(message)
        self._awaited = True

    def __exit__(self, *_: object) -> None:
        self._awaited = False
        self._hold_back()

    def forget(self) -> None:
        """What ended has no reader any more."""
        self._message = None

    def _hold_back(self) -> None:
        # torch's handler comes with its first workers.
        handler = signal.getsignal(signal.SIGCHLD)
        mine = threading.current_thread() is threading.main_thread()
        if mine and callable(handler) and handler != self._handle:
            self._torchs = handler
            signal.signal(signal.SIGCHLD, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        assert self._torchs is not None
        try:
            self._torchs(number, frame)
        except RuntimeError as error:
            if self._awaited:
                raise
            self._message = str(error)  # the error itself would keep the frame that it came in


deaths = Deaths()
