"""Ctrl-C and SIGTERM, turned into a request that the loop answers between two steps."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Inside the `with`, the first signal sets `requested`; the second acts as it did before."""

    def __init__(self) -> None:
        self.came: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    @property
    def requested(self) -> bool:
        return self.came is not None

    def _request(self, number: int, _frame: FrameType | None) -> None:
        self.came = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            # None: a handler that was not set from Python and cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def held() -> Iterator[None]:
    """Lets a signal that comes inside act only afterwards: what is inside would not bear it."""
    with Stop() as stop:
        yield
    if stop.came is not None:
        signal.raise_signal(stop.came)


def shield_worker(_worker: int) -> None:
    """Makes a DataLoader worker leave Ctrl-C and a first SIGTERM to the training process.

    A terminal or a service manager signals the whole group; a worker that died of it would take
    the step down that is to be finished. A second SIGTERM ends it, so that none can be stuck.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_next_time)


def _end_next_time(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
