"""One optimizer step: forward, backward, clip, move."""

import torch
from torch import Tensor

from pipeline.errors import UsageError
from pipeline.train.checks import check_finite, check_targets, explained
from pipeline.train.data import Batch
from pipeline.train.evaluate import answer, apply_loss
from pipeline.train.setup import Setup
from pipeline.train.state import Learner
from pipeline.wrap import flatten


def optimizer_step(setup: Setup, learner: Learner, group: list[Batch], samples: int) -> float:
    """One step down the gradient of the mean loss over all `samples` of the group; that mean.

    Raises UsageError for a loss or gradient that is not finite: before anything is moved by it.
    """
    train, where, lr = setup.config.train, learner.progress.where, learner.lr
    mean = 0.0
    for batch in group:
        share = len(batch) / samples
        loss = batch_loss(setup, learner, batch)
        value = loss.item()
        check_finite(value, "loss", where, lr)
        mean += value / samples if setup.loss.summed else value * share
        with explained(setup.config, f"The backward pass at {where}"):
            scaled = learner.scaler.scale(loss if setup.loss.summed else loss * share)
            torch.autograd.backward(scaled)
    if train.clip_norm is not None:
        clip(learner, train.clip_norm)
    skipped = move(setup, learner)
    if train.scheduler_every == "step" and not skipped:
        step_scheduler(setup, learner, None)
    return mean


def step_scheduler(setup: Setup, learner: Learner, watched: float | None) -> None:
    """Moves the learning rate on; `watched` is what ReduceLROnPlateau looks at, if it is known."""
    scheduler = learner.scheduler
    what = f"train.scheduler: {setup.config.train.scheduler}, after step {learner.progress.step},"
    with explained(setup.config, what):
        if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            if watched is not None:
                scheduler.step(watched)
        elif scheduler:
            scheduler.step()


def batch_loss(setup: Setup, learner: Learner, batch: Batch) -> Tensor:
    """The loss of one batch, in the precision of `train.amp`; a scalar with a gradient."""
    here, on_device = setup.here, batch.to(setup.here.device)
    with torch.autocast(here.device.type, here.autocast, enabled=here.autocast is not None):
        outputs = answer(setup.config, learner.forward, on_device, "train")
        check_targets(setup.config, batch, flatten(outputs)[0], setup.loss.name, "train")
        return apply_loss(setup.config, setup.loss, outputs, on_device.targets)


def clip(learner: Learner, largest: float) -> None:
    """Scales all gradients down together, to a norm of at most `largest`."""
    learner.scaler.unscale_(learner.optimizer)
    norm = torch.nn.utils.clip_grad_norm_(learner.model.parameters(), largest)
    if not learner.scaler.is_enabled():  # a scaler leaves such a step out by itself
        check_finite(norm.item(), "gradient", learner.progress.where, learner.lr)


def move(setup: Setup, learner: Learner) -> bool:
    """Lets the optimizer do its step; True if fp16's gradients overflowed and it was left out."""
    scaler, where = learner.scaler, learner.progress.where
    scale = scaler.get_scale()
    with explained(setup.config, f"train.optimizer: {setup.config.train.optimizer}, at {where},"):
        scaler.step(learner.optimizer)
        scaler.update()
    learner.optimizer.zero_grad(set_to_none=True)
    skipped = scaler.get_scale() < scale
    if skipped and scaler.get_scale() < 1:
        raise UsageError(
            f"The gradient overflowed fp16 at {where}, unscaled as well.",
            f'Lower train.lr (it was {learner.lr:.3g}), or set train.amp = "bf16" or "off".',
        )
    return skipped
