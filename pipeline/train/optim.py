"""Optimizer, scheduler and loss, by the name of a torch class or a function of the user's."""

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import loss as losses
from torch.optim import Optimizer, lr_scheduler

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.wrap import flatten
from pipeline.measure.task_metric import Goal
from pipeline.project.entries import load_entry, user_code

# Losses that compare element by element: torch broadcasts shapes that differ, which is never meant.
ELEMENTWISE = {
    "BCELoss", "BCEWithLogitsLoss", "HuberLoss", "L1Loss", "MSELoss", "SmoothL1Loss",
}  # fmt: skip
FUSED_ON = ("cpu", "cuda")
DEFAULT_LOSS = {
    "classification": "CrossEntropyLoss",
    "regression": "MSELoss",
    "tensor": "MSELoss",
}


class Loss:
    """Calls what `[train] loss` names.

    A torch class sees the first output of the model, a function of the user's what the model
    gives. `summed` says that the loss is a sum over the batch rather than a mean.
    """

    def __init__(
        self, name: str, function: Callable[[Any, Tensor], Any], summed: bool, first_only: bool
    ) -> None:
        self.name = name
        self.summed = summed
        self._function = function
        self._first_only = first_only

    def __call__(self, outputs: object, targets: Tensor) -> Tensor:
        """A scalar. Raises UsageError for anything else."""
        first = flatten(outputs)[0]
        if self.name in ELEMENTWISE:
            targets = targets.to(first.dtype).reshape(first.shape)  # whole numbers; [batch] too
        value = self._function(first if self._first_only else outputs, targets)
        if not torch.is_tensor(value) or value.numel() != 1:
            shape = list(value.shape) if torch.is_tensor(value) else type(value).__name__
            raise UsageError(
                f"train.loss: {self.name} gave {shape}, not one number as a tensor.",
                "Return the mean over the batch.",
            )
        return value.reshape(())


def build_optimizer(config: Config, model: nn.Module) -> Optimizer:
    """Over the parameters that require a gradient."""
    name = config.train.optimizer
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise UsageError(
            "The model has no parameter that can be trained.",
            "Set requires_grad on some, or skip training: [train] epochs = 0.",
        )
    function = _named(config, name, "train.optimizer", torch.optim, Optimizer)
    args = _faster(config, function, parameters) | config.train.optimizer_args
    with user_code(f"train.optimizer: {name}(lr={config.train.lr}, {args})", config.root):
        optimizer = function(parameters, lr=config.train.lr, **args)
    if not isinstance(optimizer, Optimizer):
        raise UsageError(
            f"train.optimizer: {name} returned a {type(optimizer).__name__}.",
            "Return a torch.optim.Optimizer.",
        )
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise UsageError(
            f"train.optimizer: {name} evaluates the model several times a step, "
            "which this training loop does not support.",
            "Choose another: AdamW, SGD ...",
        )
    return optimizer


def _faster(config: Config, function: object, parameters: list[nn.Parameter]) -> dict[str, bool]:
    """torch's fused step, one kernel for all parameters, where the user chose no other.

    Not for shards: not every fused kernel takes them.
    """
    taken = inspect.signature(function).parameters if isinstance(function, type) else {}
    chosen = {
        "fused",
        "foreach",
        "capturable",
        "differentiable",
    } & config.train.optimizer_args.keys()
    plain = all(p.is_floating_point() and p.device.type in FUSED_ON for p in parameters)
    fits = "fused" in taken and plain and not chosen and config.train.strategy == "ddp"
    return {"fused": True} if fits else {}


def build_scheduler(
    config: Config, optimizer: Optimizer, steps_per_epoch: int, goal: Goal
) -> lr_scheduler.LRScheduler | None:
    """`goal` is that of what ReduceLROnPlateau watches."""
    train = config.train
    if train.scheduler is None:
        return None
    function = _named(
        config, train.scheduler, "train.scheduler", lr_scheduler, lr_scheduler.LRScheduler
    )
    plateau = function is lr_scheduler.ReduceLROnPlateau
    if plateau and train.scheduler_every == "step":
        raise UsageError(
            "train.scheduler: ReduceLROnPlateau needs the validation, once an epoch.",
            'Set train.scheduler_every = "epoch".',
        )
    known = _known_lengths(config, steps_per_epoch) | ({"mode": goal} if plateau else {})
    taken = inspect.signature(function).parameters
    args = {key: value for key, value in known.items() if key in taken} | train.scheduler_args
    with user_code(f"train.scheduler: {train.scheduler}({args})", config.root):
        scheduler = function(optimizer, **args)
    if not isinstance(scheduler, lr_scheduler.LRScheduler):
        raise UsageError(
            f"train.scheduler: {train.scheduler} returned a {type(scheduler).__name__}.",
            "Return a torch.optim.lr_scheduler.LRScheduler.",
        )
    return scheduler


def build_loss(config: Config, device: torch.device) -> Loss:
    kind = config.output.kind
    yes_or_no = kind == "classification" and config.activation == "sigmoid"
    default = "BCEWithLogitsLoss" if yes_or_no else DEFAULT_LOSS[kind]
    name = config.train.loss or default
    if ":" in name:
        function = load_entry(name, config.root, "train.loss")
        return Loss(name, functools.partial(function, **config.train.loss_args), False, False)
    # Class weights come as lists from TOML; torch wants tensors, of float32.
    args = {
        key: torch.tensor(value, dtype=torch.float32) if isinstance(value, list) else value
        for key, value in config.train.loss_args.items()
    }
    function = _named(config, name, "train.loss", losses, nn.Module)
    with user_code(f"train.loss: {name}({config.train.loss_args})", config.root):
        module = function(**args).to(device)
    return Loss(name, module, args.get("reduction") == "sum", True)


def _known_lengths(config: Config, steps_per_epoch: int) -> dict[str, Any]:
    """What a scheduler may ask for, in units of its own steps."""
    train = config.train
    per_epoch = 1 if train.scheduler_every == "epoch" else steps_per_epoch
    total = train.epochs * per_epoch
    known: dict[str, Any] = {"T_max": total, "max_lr": train.lr}
    if {"epochs", "steps_per_epoch"} & train.scheduler_args.keys():
        return known | {"epochs": train.epochs, "steps_per_epoch": per_epoch}
    return known | {"total_steps": total}


def _named(config: Config, name: str, key: str, module: object, base: type) -> Callable[..., Any]:
    """The class of `module` below `base`, or the user's function."""
    if ":" in name:
        return load_entry(name, config.root, key)
    classes = classes_of(module, base)
    if name not in classes:
        near = difflib.get_close_matches(name, classes, 1, 0.5)
        raise UsageError(
            f"{key}: torch has no {name!r}."
            + (f" Did you mean {near[0]!r}?" if near else f" It has {', '.join(sorted(classes))}."),
            "Name one of torch's classes, or a function of yours: file.py:fn.",
        )
    return classes[name]


def classes_of(module: object, base: type) -> dict[str, type]:
    """The public classes of a module that derive from `base`, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, base)
        and value is not base
        and not name.startswith("_")
    }
