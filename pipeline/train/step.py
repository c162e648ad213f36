"""One optimizer step: forward, backward, clip, move."""

import torch
from torch import Tensor

from pipeline.errors import UsageError
from pipeline.graph.wrap import flatten
from pipeline.train import rng
from pipeline.train.checks import check_finite, check_targets, explained
from pipeline.train.data import Batch
from pipeline.train.evaluate import answer, apply_loss
from pipeline.train.setup import Setup
from pipeline.train.state import Learner
from pipeline.train.strategy import (
    exchanging,
    is_sharded,
    moves_gradients,
    share_buffers,
    unused_parameters,
    whole_tensor,
)
from pipeline.train.world import lost_peers


def optimizer_step(
    setup: Setup, learner: Learner, group: list[Batch], samples: int, stopping: bool
) -> tuple[float, bool]:
    """One step down the gradient of the mean loss over all `samples` of the group.

    `samples` counts those of all processes. Given back are the mean, and whether one of them is
    `stopping`: both go round beside the gradients, since a wait of their own costs each step more.

    Raises UsageError for a loss or gradient that is not finite: before anything is moved by it.
    """
    train, where, lr = setup.config.train, learner.progress.where, learner.lr
    if not learner.rehearsed:
        rehearse(setup, learner, group[-1])
    mean = 0.0
    step, watch, size = learner.progress.step + 1, setup.watch, setup.world.size
    for number, batch in enumerate(group, 1):
        share, last = batch.counted / samples, number == len(group)
        with exchanging(learner.forward, last):
            watch.move(step, "forward")
            loss = batch_loss(setup, learner, batch)
            value = loss.item() if batch.counted else 0.0
            check_finite(value, "loss", where, lr)
            mean += value / samples if setup.loss.summed else value * share
            if last:
                shared = setup.world.all_reduce_async(mean, stopping)
            # The exchange divides by the number of processes.
            weight = size * ((batch.counted > 0) if setup.loss.summed else share)
            watch.move(step, "backward")
            with explained(setup.config, f"The backward pass at {where}"), lost_peers():
                torch.autograd.backward(learner.scaler.scale(loss * weight))
    watch.move(step, "optimizer")
    if train.clip_norm is not None:
        clip(learner, train.clip_norm)
    skipped = move(setup, learner)
    if is_sharded(learner.model):
        share_buffers(learner.model, setup.world)  # any process may save them
    if train.scheduler_every == "step" and not skipped and not learner.rounding.on:
        step_scheduler(setup, learner, None)
    whole, stops = shared.wait()
    return whole, stops > 0


def rehearse(setup: Setup, learner: Learner, batch: Batch) -> None:
    """A forward and backward pass that leaves no trace, before the first step of this process.

    Without it a training that goes on would do its first step with gradients laid out as at the
    very start, and end with other last bits than one that nobody interrupted.
    """
    learner.rehearsed = True
    if not moves_gradients(learner.forward, setup.world.size):
        return
    buffers = [(buffer, buffer.clone()) for buffer in learner.model.buffers()]
    with rng.preserved():
        loss = batch_loss(setup, learner, batch)
        with explained(setup.config, "The backward pass"), lost_peers():
            torch.autograd.backward(loss)
    learner.optimizer.zero_grad(set_to_none=True)
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)


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
        try:
            outputs = answer(setup.config, learner.forward, on_device, "train")
        except UsageError as error:
            cause = error.__cause__
            raise (cause and unused_parameters(cause, learner.model)) or error from cause
        check_targets(setup.config, batch, flatten(outputs)[0], setup.loss.name, "train")
        return apply_loss(setup.config, setup.loss, outputs, on_device.targets)


def clip(learner: Learner, largest: float) -> None:
    """Scales all gradients down together, to a norm of at most `largest`."""
    learner.scaler.unscale_(learner.optimizer)
    norm = torch.nn.utils.clip_grad_norm_(learner.model.parameters(), largest)
    if not learner.scaler.is_enabled():  # a scaler leaves such a step out by itself
        check_finite(whole_tensor(norm).item(), "gradient", learner.progress.where, learner.lr)


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
