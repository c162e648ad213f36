"""Finds the process that holds the others up, and names it with its step."""

import contextlib
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
LAST_S = 3.0  # clocks of two watches differ by a beat when they start, and by one when they ask
SILENT_S = 5.0  # without a beat for so long, not even the thread runs: stopped, or the host is gone
# What a step goes through, in this order; whoever waits in a later one waits for those behind.
PHASES = ("data", "forward", "backward", "optimizer", "logging", "validation", "checkpoint")


@dataclass(frozen=True)
class Pulse:
    """Where a process was at its last beat: `moves` counts what it has done since its start."""

    rank: int
    host: str
    pid: int
    moves: int = 0
    step: int = 0
    phase: str = "data"
    beats: int = 0


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
            self.pulse,
            moves=self.moves,
            step=self.step,
            phase=self.phase,
            beats=self.pulse.beats + 1,
        )
        return time.monotonic() - self.moved_at > self.timeout_s


def behind(before: list[Pulse], after: list[Pulse]) -> list[Pulse]:
    """Those that the others wait for: without a beat between the two, else those least far.

    A silent one is in the step that the furthest waits in: its last pulse may be older.
    """
    beats = {pulse.rank: pulse.beats for pulse in before}
    furthest = max(after, key=lambda pulse: (pulse.step, PHASES.index(pulse.phase)))
    silent = [
        replace(pulse, step=furthest.step, phase=furthest.phase)
        for pulse in after
        if beats[pulse.rank] == pulse.beats
    ]
    if silent:
        return silent
    least = min((pulse.step, PHASES.index(pulse.phase)) for pulse in after)
    return [pulse for pulse in after if (pulse.step, PHASES.index(pulse.phase)) == least]


def described(late: list[Pulse], timeout_s: float) -> SetupError:
    names = ", ".join(f"rank {p.rank} (process {p.pid} on {p.host})" for p in late)
    one = late[0]
    return SetupError(
        f"No progress for {timeout_s:g} s: {names} hangs at step {one.step}, in its {one.phase}.",
        "Its own output above shows where, unless the process was stopped. If a step may take so "
        "long, raise train.timeout.",
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
    everyone = [Pulse(**pulse) for pulse in world.all_gather(asdict(watch.pulse))]
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(watch, everyone, over, failed), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join(timeout=5)


def _beat(
    watch: Watch, everyone: list[Pulse], over: threading.Event, failed: Callable[[SetupError], None]
) -> None:
    store = PrefixStore("pulse", _get_default_store().clone())
    while not over.wait(BEAT_S):
        stuck = watch.stuck()
        try:
            store.set(str(watch.world.rank), json.dumps(asdict(watch.pulse)))
        except RuntimeError:
            if not stuck:
                continue  # the store's process is gone: the next exchange will say so
        if not stuck:
            continue
        late = _late(watch, everyone, store, over)
        if over.is_set():
            return
        if watch.world.rank in [pulse.rank for pulse in late]:
            faulthandler.dump_traceback(sys.__stderr__ or 2)
            # Its end breaks the exchange of those that wait for it: they say first why they end.
            over.wait(LAST_S)
        failed(described(late, watch.timeout_s))
        # The main thread waits inside of torch, where no exception reaches it.
        os.kill(os.getpid(), signal.SIGKILL)


def _late(
    watch: Watch, everyone: list[Pulse], store: PrefixStore, over: threading.Event
) -> list[Pulse]:
    """Who holds this process up; itself where nobody can be asked."""
    before = _asked(store, everyone)
    if before is not None:
        until = time.monotonic() + SILENT_S
        while time.monotonic() < until and not over.wait(BEAT_S):
            watch.stuck()
            store.set(str(watch.world.rank), json.dumps(asdict(watch.pulse)))
        after = _asked(store, everyone)
        if after is not None:
            return behind(before, after)
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        return [watch.pulse]
    # Rank 0 has the store in its own process: it is stopped, as far as this one got.
    return [replace(everyone[0], step=watch.pulse.step, phase=watch.pulse.phase)]


def _asked(store: PrefixStore, everyone: list[Pulse]) -> list[Pulse] | None:
    """The pulses of all; of one that has not sent any yet, its first. None without an answer.

    A thread of its own asks: of a store whose process is stopped torch waits beyond any time-out.
    """
    answer: list[Pulse] = []

    def ask() -> None:
        with contextlib.suppress(RuntimeError):
            for first in everyone:
                key = str(first.rank)
                stored = store.get(key) if store.check([key]) else None
                answer.append(Pulse(**json.loads(stored)) if stored else first)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SILENT_S)
    return answer if len(answer) == len(everyone) else None
