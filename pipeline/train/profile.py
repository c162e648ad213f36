"""Where a step's time goes: by the clock in some steps, by torch's profiler in some more."""

import gc
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function

from pipeline.train.device import machine, not_filled
from pipeline.train.loop import begin, train_epoch
from pipeline.train.setup import Setup, prepared
from pipeline.train.state import Learner
from pipeline.train.stop import Stop
from pipeline.train.watch import PHASES, Watch
from pipeline.train.world import World
from pipeline.workspace.results.train import Exchanges, Part, Profile
from pipeline.workspace.stage import Job

TRACE = "trace.json"
# Steps: the first make caches and kernels; the trace would slow the clock down, so it comes after.
WARM_UP, BY_CLOCK, TRACED = 5, 20, 5
STEPS = WARM_UP + BY_CLOCK + TRACED
EXCHANGES = ("gloo:", "nccl:")  # what torch calls the exchanges between processes in a trace


class Clock(Watch):
    """Measures the phases that the loop tells of. Raises EnoughError after `STEPS` steps."""

    def __init__(self, world: World, trace: "profile") -> None:
        super().__init__(world, 0)
        self.trace = trace
        self.steps: list[defaultdict[str, float]] = [defaultdict(float)]  # seconds of each phase
        self._since = time.perf_counter()
        self._range: Any = None

    def move(self, step: int, phase: str) -> None:
        now = time.perf_counter()
        self.steps[-1][self.phase] += now - self._since
        if self._range:
            self._range.__exit__(None, None, None)
            self._range = None
        super().move(step, phase)
        if phase == "data":
            self._next_step()
        if len(self.steps) > WARM_UP + BY_CLOCK:
            self._range = record_function(f"step: {phase}")
            self._range.__enter__()
        self._since = time.perf_counter()

    def _next_step(self) -> None:
        self.steps.append(defaultdict(float))
        if len(self.steps) == WARM_UP + BY_CLOCK + 1:
            self.trace.start()
        elif len(self.steps) == STEPS + 1:
            self.trace.stop()
            raise EnoughError

    def by_phase(self) -> dict[str, float]:
        """Seconds of a step, the mean, in the phases that there were: they add up to a step."""
        steps = self.steps[WARM_UP : WARM_UP + BY_CLOCK]
        means = {phase: sum(step[phase] for step in steps) / BY_CLOCK for phase in PHASES}
        return {phase: seconds for phase, seconds in means.items() if seconds}


class EnoughError(Exception):
    """All steps were seen."""


def profiled(job: Job) -> Profile:
    """Trains `STEPS` steps and keeps nothing of them but a trace in `job.out` and this summary."""
    # A schedule is a function of the number of epochs, and some refuse a step beyond it.
    train = job.config.train.model_copy(update={"epochs": STEPS})
    job = Job(job.config.model_copy(update={"train": train}), {}, job.out, job.scratch, job.report)
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it writes that there is no GPU
    with machine(train, job.report) as here:
        kinds = [ProfilerActivity.CPU]
        kinds += [ProfilerActivity.CUDA] if here.device.type == "cuda" else []
        clock = Clock(here.world, profile(activities=kinds))
        with prepared(job, here, clock) as (setup, learner), not_filled():
            begin(setup, learner)
            run_steps(setup, learner)
            return _summary(setup, clock, job.out)


def run_steps(setup: Setup, learner: Learner) -> None:
    samples = min(setup.size, setup.config.train.batch_size * setup.config.train.accumulate)
    gc.collect()
    with setup.job.report.bar("Profiling", samples * STEPS) as bar:
        try:
            while True:
                # Outside of a `with` nothing asks it to stop: Ctrl-C ends this at once.
                train_epoch(setup, learner, Stop(), bar)
                learner.progress.epoch += 1
                learner.progress.batch = 0
        except EnoughError:
            return


def _summary(setup: Setup, clock: Clock, out: Path) -> Profile:
    train, world = setup.config.train, setup.world
    if world.first:
        clock.trace.export_chrome_trace(str(out / TRACE))
    samples = min(setup.size, train.batch_size * train.accumulate)
    parts = clock.by_phase()
    step_s = sum(parts.values())
    return Profile(
        steps=BY_CLOCK,
        processes=world.size,
        step_ms=1000 * step_s,
        samples_per_s=samples / step_s,
        parts=[
            Part(part=part, ms=1000 * seconds, share=seconds / step_s)
            for part, seconds in parts.items()
        ],
        communication=None if world.alone else exchanged(list(clock.trace.events())),  # type: ignore[no-untyped-call]
        trace=str(out / TRACE),
    )


def exchanged(events: Sequence[Any]) -> Exchanges:
    """Milliseconds of a traced step in which an exchange was under way, and how many there were.

    Exchanges that overlap count once. They lie within the parts of the step: beside the backward
    pass where they hide behind it, at its end where they do not.
    """
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in events
        if event.name.startswith(EXCHANGES)
    )
    total, until = 0.0, float("-inf")
    for start, end in spans:
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return Exchanges(ms=total / 1000 / TRACED, exchanges=len(spans) / TRACED)
