"""The training loop, from top to bottom."""

import math
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from pipeline.config import Config
from pipeline.errors import Interrupted, PipelineError
from pipeline.progress import Bar
from pipeline.project import build_model
from pipeline.stage import Job, Summary
from pipeline.task_metric import Goal
from pipeline.train import checkpoint, rng, state
from pipeline.train.checks import check_finite, check_targets, explained
from pipeline.train.data import Batch, Loader, load_splits, shuffled, size_of, split_batches
from pipeline.train.device import Machine, machine
from pipeline.train.evaluate import Score, Validation, answer, apply_loss
from pipeline.train.optim import Loss, build_loss, build_optimizer, build_scheduler
from pipeline.train.results import LAST, MetricsLog, Row, metric_of, write_summary
from pipeline.train.state import Learner, Progress
from pipeline.train.stop import Stop
from pipeline.train.world import World
from pipeline.weights import WEIGHTS, save_weights
from pipeline.wrap import flatten


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
    checkpoints: Path
    mark: str

    @property
    def config(self) -> Config:
        return self.job.config

    @property
    def goal(self) -> Goal:
        """Of the metric; of the validation loss where there is none."""
        return self.validation.metric.goal if self.validation.metric else "min"


def train(job: Job) -> Summary:
    """Trains from the newest checkpoint in `job.scratch`, or from the beginning."""
    config = job.config
    with machine(config.train, job.report) as here:
        setup, learner = prepare(job, here)
        try:
            begin(setup, learner)
            with MetricsLog(job.out, learner.progress.rows, config.train.tensorboard) as log:
                run_epochs(setup, learner, log)
            return write_results(setup, learner)
        finally:
            setup.loader.close()
            setup.validation.close()


def prepare(job: Job, here: Machine) -> tuple[Setup, Learner]:
    config = job.config
    rng.seed_all(config.train.seed)
    train_set, validation_set = load_splits(config, "train", "validation")
    rng.seed_all(config.train.seed)  # random weights do not depend on what the data drew
    model = build_model(config).to(here.device)
    validation = Validation(config, model, validation_set, here.device)
    sizes = {"train": size_of(train_set), "validation": validation.size}
    setup = Setup(
        job=job,
        here=here,
        world=World(),
        size=sizes["train"],
        loader=Loader(config, train_set, "train", here.device),
        validation=validation,
        loss=build_loss(config, here.device),
        checkpoints=job.scratch / state.FOLDER,
        mark=state.fingerprint(job, here, sizes),
    )
    optimizer = build_optimizer(config, model)
    batches = math.ceil(setup.size / config.train.batch_size)
    steps = math.ceil(batches / config.train.accumulate)
    scheduler = build_scheduler(config, optimizer, steps, setup.goal)
    scaler = torch.amp.GradScaler(here.device.type, enabled=here.autocast is torch.float16)
    forward = torch.compile(model) if config.train.compile else model
    return setup, Learner(model, forward, optimizer, scheduler, scaler, Progress())


def begin(setup: Setup, learner: Learner) -> None:
    """Takes up a checkpoint, or seeds the first epoch."""
    report, epochs = setup.job.report, setup.config.epochs
    if state.resume(setup.checkpoints, learner, setup.mark, report):
        progress = learner.progress
        at = f"epoch {progress.epoch + 1} of {epochs}" if progress.epoch < epochs else "the end"
        report.note(f"Training goes on from {at}, batch {progress.batch}, step {progress.step}.")
    else:
        rng.seed_all(rng.derive("train", setup.config.train.seed))


def run_epochs(setup: Setup, learner: Learner, log: MetricsLog) -> None:
    """Until the last epoch, or until patience is at its end."""
    epochs, patience = setup.config.epochs, setup.config.train.patience
    with Stop() as stop, setup.job.report.bar("Training", epochs * setup.size) as bar:
        bar.advance(learner.progress.epoch * setup.size + learner.progress.seen)
        while learner.progress.epoch < epochs:
            if patience is not None and learner.progress.waited >= patience:
                setup.job.report.note(f"Stopped early: no better for {patience} epochs.")
                break
            train_epoch(setup, learner, stop, bar)
            score = validate(setup, learner, stop)
            log.add(finish_epoch(setup, learner, score))
            state.save(setup.checkpoints, learner, setup.mark)
            if stop.requested:
                raise interrupted(setup, learner)


def train_epoch(setup: Setup, learner: Learner, stop: Stop, bar: Bar) -> None:
    """The batches of an epoch that are still to do."""
    train, progress = setup.config.train, learner.progress
    order = shuffled(setup.size, train.seed, progress.epoch)
    batches = split_batches(order, train.batch_size, setup.world)[progress.batch :]
    learner.model.train()
    started, before, seen = time.perf_counter(), progress.seconds, progress.seen
    with closing(setup.loader.batches(progress.epoch, batches)) as loader:  # type: ignore[type-var]
        # All batches of a step are there before it begins: nothing can end it halfway.
        while group := list(islice(loader, train.accumulate)):
            samples = sum(len(batch.indices) for batch in group)
            loss = optimizer_step(setup, learner, group, samples)
            progress.batch += len(group)
            progress.step += 1
            progress.loss_sum += loss * samples
            progress.seen += samples
            elapsed = time.perf_counter() - started
            progress.seconds = before + elapsed
            speed = (progress.seen - seen) / elapsed
            bar.advance(samples, _beside_the_bar(setup, progress, loss, speed))
            if stop.requested:
                save_and_raise(setup, learner)
            if train.checkpoint_every and progress.step % train.checkpoint_every == 0:
                state.save(setup.checkpoints, learner, setup.mark)


def optimizer_step(setup: Setup, learner: Learner, group: list[Batch], samples: int) -> float:
    """One step down the gradient of the mean loss over all `samples` of the group; that mean."""
    train, scaler = setup.config.train, learner.scaler
    where, lr = learner.progress.where, learner.optimizer.param_groups[0]["lr"]
    mean = 0.0
    for batch in group:
        share = len(batch.indices) / samples
        loss = batch_loss(setup, learner, batch)
        value = loss.item()
        check_finite(value, "loss", where, lr)
        mean += value / samples if setup.loss.summed else value * share
        with explained(setup.config, f"The backward pass at {where}"):
            scaler.scale(loss if setup.loss.summed else loss * share).backward()
    if train.clip_norm is not None:
        scaler.unscale_(learner.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(learner.model.parameters(), train.clip_norm)
        if not scaler.is_enabled():
            check_finite(norm.item(), "gradient", where, lr)
    scale = scaler.get_scale()
    with explained(setup.config, f"train.optimizer: {train.optimizer}, at {where},"):
        scaler.step(learner.optimizer)
        scaler.update()
    learner.optimizer.zero_grad(set_to_none=True)
    skipped = scaler.get_scale() < scale  # fp16: the gradient overflowed, nothing was changed
    if train.scheduler_every == "step" and learner.scheduler and not skipped:
        learner.scheduler.step()
    return mean


def batch_loss(setup: Setup, learner: Learner, batch: Batch) -> Tensor:
    """The loss of one batch, in the precision of `train.amp`; a scalar with a gradient."""
    here, on_device = setup.here, batch.to(setup.here.device)
    with torch.autocast(here.device.type, here.autocast, enabled=here.autocast is not None):
        outputs = answer(setup.config, learner.forward, on_device, "train")
        check_targets(setup.config, batch, flatten(outputs)[0], setup.loss.name, "train")
        return apply_loss(setup.config, setup.loss, outputs, on_device.targets)


def validate(setup: Setup, learner: Learner, stop: Stop) -> Score:
    """Scores the model; stopped inside, the checkpoint is of the moment before."""
    score = setup.validation.score(learner.model, setup.loss, lambda: stop.requested)
    if score is None:
        save_and_raise(setup, learner)
    assert score is not None
    assert score.loss is not None
    lr = learner.optimizer.param_groups[0]["lr"]
    check_finite(score.loss, "validation loss", f"epoch {learner.progress.epoch + 1}", lr)
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
        "lr": learner.optimizer.param_groups[0]["lr"],
        "samples_per_s": round(progress.seen / progress.seconds, 1),
        "seconds": round(progress.seconds, 3),
    }
    watched = metric if setup.validation.metric else score.loss
    _step_scheduler_by_epoch(setup.config, learner, watched)
    progress.rows.append(row)
    progress.epoch, progress.batch = progress.epoch + 1, 0
    progress.loss_sum, progress.seen, progress.seconds = 0.0, 0, 0.0
    if _better(setup.goal, watched, progress.watched):
        progress.watched, progress.waited = watched, 0
        if setup.validation.metric:
            progress.best_epoch, progress.best_value = progress.epoch, metric
            progress.best_at = progress.name
    else:
        progress.waited += 1
    return row


def write_results(setup: Setup, learner: Learner) -> Summary:
    """The last weights and the best, by the metric; without one, the last are the best."""
    job, progress, validation = setup.job, learner.progress, setup.validation
    save_weights(learner.model, job.out / LAST)
    if progress.best_at is not None and progress.best_at != progress.name:
        best = checkpoint.load(setup.checkpoints / progress.best_at)
        state.fill(learner.model, best["model"])
    save_weights(learner.model, job.out / WEIGHTS)
    last = progress.rows[-1]
    if validation.metric and progress.best_epoch is None:
        job.report.warn(
            f"{validation.metric.name} was never a finite number; the last weights it is."
        )
    elif validation.metric:
        job.report.note(
            f"Best of {progress.epoch} epochs: {progress.best_epoch}, "
            f"{validation.metric.name} {progress.best_value:.4f} on {validation.size} samples."
        )
    extra: Summary = {
        "trained_epochs": progress.epoch,
        "steps": progress.step,
        "best_epoch": progress.best_epoch,
        "metric": metric_of(validation, progress.best_value),
        "loss": {
            "name": setup.loss.name,
            "train": last["train_loss"],
            "validation": last["validation_loss"],
        },
        "weights": WEIGHTS,
        "train_samples": setup.size,
        "validation_samples": validation.size,
    }
    return write_summary(setup.config, job.out, setup.here, learner.model, extra)


def save_and_raise(setup: Setup, learner: Learner) -> None:
    state.save(setup.checkpoints, learner, setup.mark)
    raise interrupted(setup, learner)


def interrupted(setup: Setup, learner: Learner) -> PipelineError:
    progress = learner.progress
    return Interrupted(
        f"Training was interrupted after step {progress.step}, with {progress.epoch} of "
        f"{setup.config.epochs} epochs finished. All of it is saved.",
        "Run the same command again: it goes on from there.",
    )


def _step_scheduler_by_epoch(config: Config, learner: Learner, watched: float | None) -> None:
    scheduler = learner.scheduler
    if scheduler is None or config.train.scheduler_every == "step":
        return
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        if watched is not None:
            scheduler.step(watched)
    else:
        scheduler.step()


def _better(goal: Goal, value: float | None, than: float | None) -> bool:
    if value is None or than is None:
        return value is not None
    return value > than if goal == "max" else value < than


def _beside_the_bar(setup: Setup, progress: Progress, loss: float, speed: float) -> str:
    said = (
        f"epoch {progress.epoch + 1}/{setup.config.epochs}, {speed:.0f} samples/s, loss {loss:.4f}"
    )
    metric = setup.validation.metric
    if metric and progress.rows and progress.rows[-1]["metric"] is not None:
        said += f", {metric.name} {progress.rows[-1]['metric']:.4f}"
    return said
