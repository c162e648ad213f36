"""Finds the process that holds the others up, and names it with its step."""

import faulthandler
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

from pipeline.errors import SetupError
from pipeline.train.world import World

BEAT_S = 1.0
SILENT_S = (
    10.0  # without a beat for so long, not even the thread runs: stopped, or the host is gone
)
# What a step goes through, in this order; whoever waits in a later one waits for those behind.
PHASES = ("data", "forward", "backward", "optimizer", "validation", "checkpoint")


@dataclass(frozen=True)
class Pulse:
    """Where a process was when it last told: `moves` counts what it has done since its start."""

    rank: int
    host: str
    pid: int
    moves: int = 0
    step: int = 0
    phase: str = "data"
    at: float = 0.0


class Watch:
    """`move` costs next to nothing; a thread tells the others each second, by torch's store."""

    def __init__(self, world: World, timeout_s: float) -> None:
        self.pulse = Pulse(world.rank, world.host, os.getpid())
        self.world = world
        self.timeout_s = timeout_s
        self.moved_at = time.monotonic()
        self.step, self.phase, self.moves = 0, "data", 0

    def move(self, step: int, phase: str) -> None:
        """This process is in a phase of a step, counted from 1."""
        self.step, self.phase = step, phase
        self.moves += 1

    def stuck(self) -> bool:
        """Whether this process has not moved for `timeout_s`; notes when it last did."""
        if self.moves != self.pulse.moves:
            self.moved_at = time.monotonic()
        self.pulse = replace(
            self.pulse, moves=self.moves, step=self.step, phase=self.phase, at=time.time()
        )
        return time.monotonic() - self.moved_at > self.timeout_s


def behind(pulses: list[Pulse], now: float) -> list[Pulse]:
    """Those that the others wait for: silent ones first, else those that are least far."""
    silent = [pulse for pulse in pulses if now - pulse.at > SILENT_S]
    if silent:
        return silent
    least = min((pulse.step, PHASES.index(pulse.phase)) for pulse in pulses)
    return [pulse for pulse in pulses if (pulse.step, PHASES.index(pulse.phase)) == least]


def described(late: list[Pulse], timeout_s: float) -> SetupError:
    names = ", ".join(f"rank {p.rank} (process {p.pid} on {p.host})" for p in late)
    one = late[0]
    return SetupError(
        f"Nothing moved for {timeout_s:g} s: {names} hangs at step {one.step}, in its {one.phase}.",
        "Where it hangs is in its own output above. If a step may take so long, raise "
        "train.timeout.",
    )


@contextmanager
def watching(
    world: World, timeout_s: float, failed: Callable[[SetupError], None]
) -> Iterator[Watch]:
    """Watches the training inside; `failed` is told who hangs before this process ends itself."""
    watch = Watch(world, timeout_s)
    if world.alone:
        yield watch
        return
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(watch, over, failed), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join(timeout=5)


def _beat(watch: Watch, over: threading.Event, failed: Callable[[SetupError], None]) -> None:
    store = PrefixStore("pulse", _get_default_store().clone())
    own = f"{watch.world.rank}"
    while not over.wait(BEAT_S):
        stuck = watch.stuck()
        try:
            store.set(own, json.dumps(asdict(watch.pulse)))
            if not stuck:
                continue
            ranks = [str(rank) for rank in range(watch.world.size)]
            pulses = [Pulse(**json.loads(text)) for text in store.multi_get(ranks)]
        except (RuntimeError, ValueError):
            if not stuck:
                continue  # the store's process is gone: the next exchange will say so
            pulses = [watch.pulse]
        late = behind(pulses, time.time())
        if watch.world.rank in [pulse.rank for pulse in late]:
            faulthandler.dump_traceback(sys.__stderr__ or 2)
        failed(described(late, watch.timeout_s))
        # The main thread waits inside of torch, where no exception reaches it.
        os.kill(os.getpid(), signal.SIGKILL)
