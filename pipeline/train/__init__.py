"""Trains the user's model, or takes its weights as they are; see docs/training.md."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.workspace.stage import Job, Summary

PROFILE = "profile"  # the scratch folder of those steps, by which the other processes know it

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.system.progress import Reporter
    from pipeline.workspace.results.train import Profile


def run(job: Job) -> Summary:
    """Writes weights.safetensors, last.safetensors, metrics.jsonl and train.json into `job.out`.

    With `train.epochs = 0`, without data or for a model that is a file, the weights stay as they
    are and are only evaluated. Raises Interrupted after Ctrl-C or SIGTERM: the next call with the
    same `job.scratch` goes on from there. Of several processes each calls it: rank 0 here, the
    others in `follow`.
    """
    from pipeline.train import world

    here = world.current()
    if here.first:
        here.broadcast(job.scratch.name)
    if job.config.epochs == 0:
        from pipeline.train.untrained import keep_weights

        return keep_weights(job)
    from pipeline.train.loop import train

    return train(job)


def profile(job: Job) -> "Profile":
    """Trains some steps, writes trace.json into `job.out`, and says where a step's time goes.

    Of several processes rank 0 calls it, with a scratch folder named PROFILE.
    """
    from pipeline.train import world
    from pipeline.train.profile import profiled

    here = world.current()
    if here.first:
        here.broadcast(job.scratch.name)
    return profiled(job)


def follow(config: "Config", scratches: Path, out: Path, report: "Reporter") -> None:
    """What a process does that is not rank 0: waits for its word, and trains when it does.

    `scratches` is the folder of scratch folders, which all see; into `out` goes what is not kept.
    """
    from pipeline.train import world

    name = world.current().broadcast(None)
    while name is not None:
        work = profile if name == PROFILE else run
        work(Job(config, {}, out, scratches / name, report))
        name = world.current().broadcast(None)


def dismiss_others() -> None:
    """Rank 0 has nothing to train, or is done: those who follow may go."""
    from pipeline.train import world

    world.current().broadcast(None)
