"""`[train]`."""

from typing import Any, Literal

from pydantic import PositiveFloat, PositiveInt

from pipeline.config.base import Count, Section


class TrainConfig(Section):
    epochs: Count = 10
    """0 skips training: the weights stay as `[model] weights` or the entry made them."""
    batch_size: PositiveInt = 64
    """Samples in a batch, of all processes together."""
    optimizer: str = "AdamW"
    """A class of torch.optim or `module:fn`."""
    lr: PositiveFloat = 1e-3
    """Learning rate that the optimizer starts with."""
    optimizer_args: dict[str, Any] = {}
    """Further keyword arguments for the optimizer: `{ weight_decay = 0.01 }`."""
    scheduler: str | None = None
    """A class of torch.optim.lr_scheduler or `module:fn`."""
    scheduler_args: dict[str, Any] = {}
    """`total_steps` and `T_max` are filled in where the scheduler takes them."""
    scheduler_every: Literal["step", "epoch"] = "epoch"
    """When the scheduler moves on: after each optimizer step or after each epoch."""
    loss: str | None = None
    """A class of torch.nn or `module:fn`. Default: `CrossEntropyLoss` for classification, of yes or
    no (`[output] activation = "sigmoid"`) `BCEWithLogitsLoss`, `MSELoss` for regression and, if
    `epochs` is set, for anything else. It sees what the model gives, before
    `[output] activation`."""
    loss_args: dict[str, Any] = {}
    """Keyword arguments for the loss: `{ label_smoothing = 0.1 }`."""
    amp: Literal["auto", "off", "bf16", "fp16"] = "auto"
    """`auto`: bf16 on a GPU that has it, fp16 with a scaler on another GPU, off on a CPU."""
    clip_norm: PositiveFloat | None = None
    """Largest norm of all gradients together; larger ones are scaled down."""
    accumulate: PositiveInt = 1
    """Batches for one optimizer step."""
    patience: PositiveInt | None = None
    """Stop after so many epochs without a better metric."""
    compile: bool = False
    """Train through torch.compile."""
    seed: Count = 0
    """Of the weights, the order of samples and everything else that is random."""
    device: str = "auto"
    """`auto` (cuda, then mps, then cpu), `cpu`, `cuda`, `cuda:1` ..."""
    threads: Count = 0
    """CPU threads of each process; 0 shares every core among those of a machine. The last bits of
    the weights depend on it."""
    workers: Count = 0
    """Processes that load samples; 0 loads them in the training process."""
    pin_memory: bool = True
    """GPU: load samples into memory that copies faster."""
    persistent_workers: bool = True
    """Keep the workers from one epoch to the next."""
    checkpoint_every: PositiveInt | None = None
    """Optimizer steps between checkpoints, besides the one at the end of each epoch."""
    keep: PositiveInt = 2
    """Checkpoints that are kept: the newest so many, and the best."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """Several processes: `ddp` has the whole model in each, `fsdp` shards it over them."""
    fsdp_wrap: tuple[str, ...] = ()
    """fsdp: classes of modules that are sharded apart, `["Block"]`. Default: every large one."""
    sync_batch_norm: bool = False
    """Several processes: batch norm over the samples of all of them."""
    bucket_mb: PositiveFloat = 25.0
    """ddp: gradients are exchanged in pieces of so many megabytes."""
    static_graph: bool = False
    """ddp: the model uses the same parameters in the same order in each step."""
    find_unused_parameters: bool = False
    """ddp: for models that leave parameters out of a step; costs a look through the graph."""
    timeout: PositiveFloat = 600.0
    """Several processes: seconds without progress until the one that hangs is named and ended."""
    tensorboard: bool = False
    """Write event files for TensorBoard besides metrics.jsonl."""


# Keys of [train] that say how the weights are reached, not which: no stage is stale for them, and
# an interrupted training goes on with others.
NO_WEIGHT_DEPENDS_ON = {
    *("workers", "pin_memory", "persistent_workers", "checkpoint_every", "keep"),
    *("fsdp_wrap", "bucket_mb", "static_graph", "find_unused_parameters", "timeout"),
}
