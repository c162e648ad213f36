"""The training loop, from top to bottom."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import NoReturn

from safetensors.torch import save as save_tensors

from pipeline.errors import Interrupted, SetupError, UsageError
from pipeline.measure.task_metric import Goal
from pipeline.project.weights import WEIGHTS, save_weights
from pipeline.system.progress import Bar
from pipeline.train import rng, rounding
from pipeline.train.checks import check_finite
from pipeline.train.data import Batch, shuffled, split_batches
from pipeline.train.device import machine, not_filled
from pipeline.train.evaluate import Score
from pipeline.train.launch import worker_errors
from pipeline.train.results import LAST, MetricsLog, Row, metric_of, setting, write_training
from pipeline.train.setup import Setup, prepared
from pipeline.train.state import Learner, Progress
from pipeline.train.step import optimizer_step, step_scheduler
from pipeline.train.stop import Stop
from pipeline.train.strategy import is_sharded, share_buffers
from pipeline.train.watch import watching
from pipeline.workspace.results.train import Loss, Training
from pipeline.workspace.stage import Job, Summary


def train(job: Job) -> Summary:
    """Trains from the newest checkpoint in `job.scratch`, or from the beginning."""
    config = job.config

    def hung(error: SetupError) -> None:
        worker_errors.write(error, lost=False)
        job.report.warn(f"{error.message} {error.hint}")

    with (
        machine(config.train, job.report) as here,
        watching(here.world, config.train.timeout, hung) as watch,
        prepared(job, here, watch) as (setup, learner),
    ):
        begin(setup, learner)
        log = MetricsLog(job.out, learner.progress.rows, config.train.tensorboard)
        with log, not_filled():
            run_epochs(setup, learner, log)
        return write_results(setup, learner)


def begin(setup: Setup, learner: Learner) -> None:
    """Takes up a checkpoint, or seeds the first epoch."""
    report, epochs = setup.job.report, setup.config.epochs
    world = setup.world
    many = "" if world.alone else f", on {world.size} processes"
    if setup.saver.resume(learner):
        progress = learner.progress
        at = f"epoch {progress.epoch + 1} of {epochs}" if progress.epoch < epochs else "the end"
        report.note(
            f"Training resumes from {at}, batch {progress.batch}, step {progress.step}{many}."
        )
    else:
        if many:
            report.note(f"Training begins{many}.")
        # Rank 0 draws what one process alone would.
        ranked = () if world.first else (world.rank,)
        rng.seed_all(rng.derive("train", setup.config.train.seed, *ranked))


def run_epochs(setup: Setup, learner: Learner, log: MetricsLog) -> None:
    """Until the last epoch, or until patience is at its end."""
    epochs, patience = setup.config.epochs, setup.config.train.patience
    with Stop() as stop, setup.job.report.bar("Training", epochs * setup.size) as bar:
        bar.advance(learner.progress.epoch * setup.size + learner.progress.seen)
        while learner.progress.epoch < epochs:
            if patience is not None and learner.progress.waited >= patience:
                setup.job.report.note(f"Stopped early: no improvement for {patience} epochs.")
                break
            round_from_here(setup, learner)
            train_epoch(setup, learner, stop, bar)
            score = validate(setup, learner, stop)
            log.add(finish_epoch(setup, learner, score))
            setup.watch.move(learner.progress.step, "checkpoint")
            setup.saver.save(learner)
            if setup.world.any(stop.requested):
                setup.saver.finish()
                raise interrupted(setup, learner)
    setup.saver.finish()


def round_from_here(setup: Setup, learner: Learner) -> None:
    """Switches int8 rounding on for the epochs behind those of `[train]`. What was best without it
    says nothing of them."""
    progress, plain = learner.progress, setup.config.train.epochs
    if progress.epoch < plain:
        return
    if progress.epoch == plain and not progress.batch:
        progress.best_epoch = progress.best_value = progress.best_at = None
        progress.waited = 0
    learner.rounding.on = True
    rounding.begin(learner.optimizer, setup.config.train.lr)


def train_epoch(setup: Setup, learner: Learner, stop: Stop, bar: Bar) -> None:
    """The batches of an epoch that are still to do."""
    train, progress = setup.config.train, learner.progress
    order = shuffled(setup.loader.dataset, train.seed, progress.epoch)
    batches = split_batches(order, train.batch_size, setup.world)[progress.batch :]
    learner.model.train()
    started, before, seen = time.perf_counter(), progress.seconds, progress.seen
    with closing(setup.loader.batches(progress.epoch, batches)) as loader:
        while group := next_group(setup, learner, loader):
            samples = sum(batch.total for batch in group)
            progress.lr = learner.lr
            loss, stopping = optimizer_step(setup, learner, group, samples, stop.requested)
            setup.watch.move(progress.step + 1, "logging")
            progress.batch += len(group)
            progress.step += 1
            progress.loss_sum += loss * samples
            progress.seen += samples
            elapsed = time.perf_counter() - started
            progress.seconds = before + elapsed
            speed = (progress.seen - seen) / elapsed
            bar.advance(samples, _beside_the_bar(setup, progress, loss, speed))
            # Several processes learn of each other's signal with the next step's loss.
            if stopping or (setup.world.size == 1 and stop.requested):
                save_and_raise(setup, learner)
            if train.checkpoint_every and progress.step % train.checkpoint_every == 0:
                setup.watch.move(progress.step, "checkpoint")
                setup.saver.save(learner)
            setup.saver.check()
            setup.watch.move(progress.step + 1, "data")


def next_group(setup: Setup, learner: Learner, loader: Iterator[Batch]) -> list[Batch]:
    """The batches of a step, all of them before it begins: nothing can end it halfway."""
    try:
        return list(islice(loader, setup.config.train.accumulate))
    except UsageError as error:
        where = learner.progress.where
        raise UsageError(f"At {where}: {error.message}", error.hint) from error


def validate(setup: Setup, learner: Learner, stop: Stop) -> Score:
    """Scores the model; stopped inside, the checkpoint is of the moment before."""
    step = learner.progress.step

    def stopped() -> bool:
        setup.watch.move(step, "validation")
        return setup.world.any(stop.requested)

    share_buffers(learner.model, setup.world)
    score = setup.validation.score(learner.model, setup.loss, stopped)
    if score is None:
        save_and_raise(setup, learner)
    assert score.loss is not None
    where = f"the end of epoch {learner.progress.epoch + 1}, after step {learner.progress.step}"
    check_finite(score.loss, "validation loss", where, learner.progress.lr)
    return score


def finish_epoch(setup: Setup, learner: Learner, score: Score) -> Row:
    """Moves the progress to the next epoch; the line for metrics.jsonl."""
    progress = learner.progress
    metric = score.metric if score.metric is not None and math.isfinite(score.metric) else None
    row: Row = {
        "epoch": progress.epoch + 1,
        "step": progress.step,
        "train_loss": progress.loss_sum / progress.seen,
        "validation_loss": score.loss,
        "metric": metric,
        "lr": progress.lr,
        "samples_per_s": round(progress.seen / progress.seconds, 1),
        "seconds": round(progress.seconds, 3),
    }
    watched = metric if setup.validation.metric else score.loss
    if setup.config.train.scheduler_every == "epoch" and not learner.rounding.on:
        step_scheduler(setup, learner, watched)
    progress.rows.append(row)
    progress.epoch, progress.batch = progress.epoch + 1, 0
    progress.loss_sum, progress.seen, progress.seconds = 0.0, 0, 0.0
    if _better(setup.goal, watched, progress.best_value):
        progress.best_epoch, progress.best_value = progress.epoch, watched
        progress.best_at, progress.waited = progress.name, 0
    else:
        progress.waited += 1
    return row


def write_results(setup: Setup, learner: Learner) -> Summary:
    """The last weights and the best; the last are the best if the metric was never a number."""
    job, progress, validation = setup.job, learner.progress, setup.validation
    share_buffers(learner.model, setup.world)
    write_weights(setup, learner, LAST)
    if progress.best_at is not None and progress.best_at != progress.name:
        setup.saver.best_model(learner)
    write_weights(setup, learner, WEIGHTS)
    last = progress.rows[-1]
    if progress.best_epoch is None:
        job.report.warn(
            f"{setup.watched} was never a finite number: no epoch is best, the last is used."
        )
    else:
        job.report.note(
            f"Best epoch: {progress.best_epoch} of {progress.epoch}, "
            f"{setup.watched} {progress.best_value:.4f} on {validation.size} samples."
        )
    training = Training(
        **setting(setup.config, setup.here, learner.model),
        trained_epochs=progress.epoch,
        steps=progress.step,
        best_epoch=progress.best_epoch,
        metric=metric_of(validation, progress.best_value if validation.metric else None),
        loss=Loss(
            name=setup.loss.name, train=last["train_loss"], validation=last["validation_loss"]
        ),
        weights=WEIGHTS,
        train_samples=setup.size,
        validation_samples=validation.size,
    )
    return write_training(job.out, setup.here, training)


def write_weights(setup: Setup, learner: Learner, file: str) -> None:
    """A sharded model is put together first, which every process takes part in."""
    path = setup.job.out / file
    if is_sharded(learner.model):
        from pipeline.train import sharded

        tensors = sharded.whole(learner.model)
        if setup.world.first:
            path.write_bytes(save_tensors(tensors))
    elif setup.world.first:
        save_weights(learner.model, path)


def save_and_raise(setup: Setup, learner: Learner) -> NoReturn:
    setup.saver.save(learner)
    setup.saver.finish()
    raise interrupted(setup, learner)


def interrupted(setup: Setup, learner: Learner) -> Interrupted:
    progress = learner.progress
    return Interrupted(
        f"Training was interrupted after step {progress.step}, with {progress.epoch} of "
        f"{setup.config.epochs} epochs finished. All of it is saved.",
        "Run the same command again: it goes on from there.",
    )


def _better(goal: Goal, value: float | None, than: float | None) -> bool:
    if value is None or than is None:
        return value is not None
    return value > than if goal == "max" else value < than


def _beside_the_bar(setup: Setup, progress: Progress, loss: float, speed: float) -> str:
    text = (
        f"epoch {progress.epoch + 1}/{setup.config.epochs}, {speed:.0f} samples/s, loss {loss:.4f}"
    )
    metric = setup.validation.metric
    if metric and progress.rows and progress.rows[-1]["metric"] is not None:
        text += f", {metric.name} {progress.rows[-1]['metric']:.4f}"
    return text
