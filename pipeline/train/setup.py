"""What a training is made of, before its first step."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from pipeline.config import Config
from pipeline.measure.task_metric import Goal
from pipeline.project.entries import build_model, load_splits
from pipeline.project.lazy import by_first_sample
from pipeline.train import rng, state
from pipeline.train.agree import check_same
from pipeline.train.data import Loader, size_of
from pipeline.train.device import Machine
from pipeline.train.evaluate import Validation
from pipeline.train.optim import Loss, build_loss, build_optimizer, build_scheduler
from pipeline.train.rounding import install
from pipeline.train.saver import Saver
from pipeline.train.state import Learner, Progress
from pipeline.train.strategy import spread
from pipeline.train.watch import Watch
from pipeline.train.world import World
from pipeline.workspace.stage import Job


@dataclass(frozen=True)
class Setup:
    """What stays the same during a training."""

    job: Job
    here: Machine
    world: World
    size: int  # samples of the training set
    loader: Loader
    validation: Validation
    loss: Loss
    saver: Saver
    watch: Watch

    @property
    def config(self) -> Config:
        return self.job.config

    @property
    def goal(self) -> Goal:
        """Of the metric; of the validation loss where there is none."""
        return self.validation.metric.goal if self.validation.metric else "min"

    @property
    def watched(self) -> str:
        """What says which epoch is the best."""
        return self.validation.metric.name if self.validation.metric else "validation loss"


@contextmanager
def prepared(job: Job, here: Machine, watch: Watch) -> Iterator[tuple[Setup, Learner]]:
    """Everything built from the configuration; loaders are closed after it."""
    config, world = job.config, here.world
    rng.seed_all(config.train.seed)
    train_set, validation_set = load_splits(config, "train", "validation")
    rng.seed_all(config.train.seed)  # random weights do not depend on what the data drew
    model = build_model(config, by_first_sample(config), job.report.note).to(here.device)
    validation = Validation(config, model, validation_set, here)
    sizes = {"train": size_of(train_set), "validation": validation.size}
    check_same(config, world, {"train": train_set, "validation": validation_set})
    setup = Setup(
        job=job,
        here=here,
        world=world,
        size=sizes["train"],
        loader=Loader(config, train_set, "train", here.device),
        validation=validation,
        loss=build_loss(config, here.device),
        saver=Saver(job, world, state.fingerprint(job, here, sizes)),
        watch=watch,
    )
    try:
        yield setup, _learner(setup, model)
    finally:
        setup.saver.close()
        setup.loader.close()
        validation.close()


def _learner(setup: Setup, model: torch.nn.Module) -> Learner:
    train, here = setup.config.train, setup.here
    rounding = install(model, setup.config)
    forward = spread(setup.config, model, setup.world, here.device)
    optimizer = build_optimizer(setup.config, model)
    batches = math.ceil(setup.size / train.batch_size)
    steps = math.ceil(batches / train.accumulate)
    scheduler = build_scheduler(setup.config, optimizer, steps, setup.goal)
    scaler = torch.amp.GradScaler(here.device.type, enabled=here.autocast is torch.float16)
    # Not dynamic: a kernel is a function of its shape, and not of the shapes that came before.
    called = torch.compile(forward, dynamic=False) if train.compile else forward
    return Learner(model, called, optimizer, scheduler, scaler, Progress(), rounding)
