"""`pipeline.toml`: every key, its meaning and its default stand here, once."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from pipeline.errors import UsageError

# `file.py:function`, `package.module:function`, `timm:NAME`, `torchvision:NAME`.
ENTRY = re.compile(r"^[^:]+:[^:]+$")
# A name that is also a file name on every system.
PORTABLE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")

Count = Annotated[int, Field(ge=0)]
Drop = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(Section):
    """Where the model comes from: one of `entry`, `torchscript`, `onnx`."""

    entry: str | None = None
    """`file.py:fn`, `package.module:fn`, `timm:NAME` or `torchvision:NAME`."""
    args: dict[str, Any] = {}
    """Keyword arguments for the entry."""
    weights: str | None = None
    """A .safetensors file or a state dict that `torch.load(weights_only=True)` reads."""
    torchscript: str | None = None
    """An existing TorchScript file, instead of `entry`."""
    onnx: str | None = None
    """An existing ONNX file, instead of `entry`."""

    @field_validator("entry")
    @classmethod
    def _entry_has_a_colon(cls, value: str | None) -> str | None:
        return _check_entry(value)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [key for key in ("entry", "torchscript", "onnx") if getattr(self, key)]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of entry, torchscript, onnx; given: {said}")
        if self.weights and not self.entry:
            raise ValueError("weights go with entry; a TorchScript or ONNX file has its own")
        return self


class DataConfig(Section):
    """Where samples come from. Without an entry, seeded noise of the input's shape stands in."""

    entry: str | None = None
    """`file.py:fn` or `package.module:fn`, returning `dict[str, Dataset]`."""
    args: dict[str, Any] = {}
    """Keyword arguments for the entry."""
    depends: tuple[str, ...] = ()
    """Files that the data comes from (globs, from the configuration's folder). A change of one
    makes every stage stale."""

    @field_validator("entry")
    @classmethod
    def _entry_has_a_colon(cls, value: str | None) -> str | None:
        return _check_entry(value)


class InputConfig(Section):
    """What a caller hands to the exported model."""

    kind: Literal["image", "tensor"] = "tensor"
    """`image`: uint8 [batch, height, width, channels] of any size, prepared inside the graph.
    `tensor`: as the model takes it."""

    size: tuple[PositiveInt, PositiveInt] = (224, 224)
    """image: height and width that the model sees."""
    channels: Literal[1, 3] = 3
    """image: 1 is grey, 3 is RGB."""
    fit: Literal["stretch", "crop"] = "stretch"
    """image: `stretch` ignores the aspect ratio; `crop` takes the largest centred part of it."""
    mean: tuple[float, ...] = (0.0,)
    """image: taken off pixel / 255; one value or one for each channel."""
    std: tuple[float, ...] = (1.0,)
    """image: what that is divided by, (pixel / 255 - mean) / std; one value or one a channel."""

    shapes: dict[str, tuple[int | str, ...]] = {}
    """tensor: shape by input name, batch first; a string names a dynamic axis:
    `{ tokens = ["batch", "length"] }`. Default: as the first sample, batch dynamic."""
    dtypes: dict[str, str] = {}
    """tensor: element type by input name. Default: as the first sample; float32 without data."""

    @model_validator(mode="after")
    def _kind_fits(self) -> Self:
        image_keys = {"size", "channels", "fit", "mean", "std"} & self.model_fields_set
        tensor_keys = {"shapes", "dtypes"} & self.model_fields_set
        wrong = image_keys if self.kind == "tensor" else tensor_keys
        if wrong:
            other = "image" if self.kind == "tensor" else "tensor"
            raise ValueError(f'{", ".join(sorted(wrong))} belong to kind = "{other}"')
        for key in ("mean", "std"):
            if len(getattr(self, key)) not in (1, self.channels):
                raise ValueError(
                    f"{key} needs one value, or one for each of {self.channels} channels"
                )
        if any(value == 0 for value in self.std):
            raise ValueError("std must not be 0")
        for name, shape in self.shapes.items():
            if not shape or any(isinstance(axis, int) and axis < 1 for axis in shape):
                raise ValueError(f"shapes.{name}: axes are positive numbers or names")
        return self


class OutputConfig(Section):
    """What the exported model gives back, and how good answers are told from bad ones."""

    kind: Literal["classification", "regression", "tensor"] = "tensor"
    """What the first output is: scores of classes, predicted numbers, or anything else."""
    labels: tuple[str, ...] | str | None = None
    """classification: the names of the classes, or a text file with one a line."""
    activation: Literal["auto", "none", "softmax", "sigmoid"] = "auto"
    """Put behind the model's first output. `auto`: softmax for classification, else none."""
    names: tuple[str, ...] = ()
    """Names of the outputs. Default: a dict's keys, or `probabilities`, `output`, `output_1`."""
    metric: str | None = None
    """A class of torchmetrics or `module:fn` (outputs, targets) -> float. Default: `Accuracy` for
    classification, `MeanSquaredError` for regression."""
    metric_args: dict[str, Any] = {}
    """Keyword arguments for a class of torchmetrics."""
    metric_goal: Literal["auto", "max", "min"] = "auto"
    """`auto`: as torchmetrics knows it; `max` for a function of yours."""


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
    """A class of torch.nn or `module:fn`. Default: `CrossEntropyLoss` for classification,
    `MSELoss` for regression. It sees what the model gives, before `[output] activation`."""
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


class ExportConfig(Section):
    model_config = ConfigDict(populate_by_name=True)

    for_: Annotated[Literal["any", "android-pytorch"], Field(alias="for")] = "any"
    """`android-pytorch`: refuse TorchScript that calls what PyTorch 1.13.1 for Android lacks."""
    formats: tuple[Literal["torchscript", "onnx"], ...] = ("torchscript", "onnx")
    """What is exported."""
    capture: Literal["auto", "trace", "script"] = "auto"
    """TorchScript: `auto` tries trace, checks it on other shapes, else goes to script."""
    exporter: Literal["auto", "dynamo", "legacy"] = "auto"
    """ONNX: `dynamo` is torch.export; `auto` falls back to the older exporter and says so."""
    opset: Annotated[int, Field(ge=18, le=23)] = 18
    """ONNX: version of the operator set."""
    dynamic_batch: bool = True
    """Any batch size; otherwise the batch is always 1."""
    dynamic_size: bool = True
    """image: any height and width."""
    threads: Count = 1
    """CPU threads; 0 takes every core."""


class QuantizeConfig(Section):
    recipes: tuple[str, ...] = ("auto",)
    """`auto`: the search, which ships the fastest artifact inside `max_drop`, or float and says
    why. Named ones are made the usual way: `int8-static`, `int8-mixed`, `int8-dynamic`,
    `int8-weights`, `int4-weights`, `fp16`. With a format before it, for that format alone:
    `onnx:int8-dynamic`."""
    gate: bool = True
    """Whether a named int8 or int4 recipe, too, ships only inside `max_drop` and where it is surely
    faster than fp32 on this machine (or smaller, by the objective). `false` ships it as it is."""
    targets: tuple[Literal["x86_64", "arm64"], ...] = ()
    """auto: the CPUs that artifacts are made for, `["x86_64", "arm64"]`. Default: this one's."""
    max_drop: Drop | None = None
    """How much worse the metric may be than fp32's, absolute. Default: 0.01, and a
    twentieth of fp32's own where the metric is an error."""
    objective: Literal["latency", "size"] = "latency"
    """What is to be small, as long as the drop allows it."""
    budget_minutes: PositiveFloat = 10.0
    """auto: the search ends after so many minutes, or earlier with all candidates tried."""
    validation_samples: PositiveInt = 512
    """Validation samples that int8 is scored on; the same that verify takes first."""
    qat_epochs: Count = 0
    """Epochs of quantization-aware training behind those of `[train]`, in the same loop: with int8
    rounding in it, at a tenth of `train.lr`. The best of them is what is exported."""
    workers: Literal["local", "ray"] = "local"
    """auto: who makes the candidates and scores their answers, this process or a Ray cluster that
    runs already. Times are always measured here, one at a time."""
    calibration_samples: PositiveInt = 256
    """Samples that the ranges of activations are taken from, out of the calibration set."""
    batch_size: PositiveInt = 32
    """Samples that run at once during calibration, at most."""
    exclude: tuple[str, ...] = ()
    """Layers that stay float: names of modules or ONNX nodes, globs allowed (`model.head*`)."""
    engine: Literal["auto", "x86", "onednn", "qnnpack"] = "auto"
    """TorchScript's int8 kernels; `auto` takes x86 on x86_64, otherwise qnnpack."""
    threads: Count = 1
    """CPU threads; 0 takes every core."""

    @field_validator("recipes")
    @classmethod
    def _recipes_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for recipe in value:
            format, _, name = recipe.rpartition(":")
            if format not in ("", "onnx", "torchscript"):
                raise ValueError(f"{recipe!r}: the format is onnx or torchscript")
            if name not in RECIPES:
                raise ValueError(f"{recipe!r} is no recipe; there are {', '.join(RECIPES)}")
        return value


RECIPES = (
    *("auto", "int8-static", "int8-mixed", "int8-dynamic", "int8-weights", "int4-weights"),
    "fp16",
)


class Tolerances(Section):
    """What `[verify.tolerances.PRECISION]` sets; docs/parity.md has the defaults."""

    max_abs: PositiveFloat | None = None
    """Largest absolute difference, in units of the output."""
    max_rel: PositiveFloat | None = None
    """The same, divided by the largest magnitude of the reference."""
    min_sqnr_db: float | None = None
    """Smallest ratio of the reference's power to the error's, in dB."""
    min_top1: Fraction | None = None
    """classification: share of samples with the same first class as the reference."""
    max_drop: float | None = None
    """How much worse the metric may be than the reference's."""


class VerifyConfig(Section):
    samples: PositiveInt = 512
    """Validation samples, at least; fewer only where the data has fewer."""
    batch_size: PositiveInt = 32
    """Samples that run at once."""
    runtimes: tuple[str, ...] = ()
    """Default: all that this machine has."""
    emulate: tuple[Literal["arm64", "jvm"], ...] = ()
    """What something here stands in for, with rows of its own: `arm64` under QEMU, the core of the
    Android app on a `jvm`. Answers, no timings."""
    tolerances: dict[Literal["fp32", "fp16", "int8", "int4"], Tolerances] = {}
    """By precision; what is not given follows the precision and the reference."""
    outputs: dict[str, dict[Literal["fp32", "fp16", "int8", "int4"], Tolerances]] = {}
    """The same for one output, by its name: `[verify.outputs.scores.int8]`."""
    confidence: Annotated[float, Field(ge=0.8, le=0.999)] = 0.95
    """With which the metric's drop must lie within what is allowed, or beyond it."""
    strict: bool = False
    """An inconclusive verdict ends as a failed one does: exit 1, no bundle."""
    targets: tuple[Literal["onnxruntime-android", "pytorch-android", "cpp-runner"], ...] = ()
    """What must be able to read every artifact of its format; others are looked at, not judged."""
    drift: bool = True
    """Also measure every artifact layer by layer, for the report."""
    threads: Count = 1
    """CPU threads; 0 takes every core."""


class BenchConfig(Section):
    threads: PositiveInt = 1
    """CPU threads of every runtime."""
    warmup_runs: Annotated[int, Field(ge=10)] = 10
    """Runs before the measured ones, at least; and half a second of them."""
    runs: Annotated[int, Field(ge=64)] = 64
    """At least so many measured runs of each contestant ..."""
    seconds: PositiveFloat = 10.0
    """... and so many seconds. `pipeline bench --quick` takes 2."""
    rounds: Annotated[int, Field(ge=10)] = 10
    """Turns of each contestant, among which runs and seconds are shared out."""
    seed: Count = 0
    """Of the draw of samples, the same for all contestants."""
    batch_sizes: tuple[PositiveInt, ...] = (1, 8, 32)
    """For throughput; latency is measured at batch 1."""
    runtimes: tuple[str, ...] = ()
    """Default: all that this machine has."""
    against: tuple[str, ...] = ()
    """Other engines to measure on the same ONNX files: `onnxruntime` (its default session),
    `openvino`."""


class PackageConfig(Section):
    golden: PositiveInt = 8
    """Samples in the bundle, with the reference's answers."""
    description: str = ""
    """A sentence for the model card."""
    license: str = ""
    """Of the model, for the model card: `Apache-2.0`."""
    first: Annotated[str, Field(min_length=1)] | None = None
    """Id of the artifact that a program takes by default: `onnx-fp32`. Default: the fastest that
    passed, as measured here. Named, so that the others follow by a fixed rule, no measurement of
    `bench` decides about the bundle's bytes."""
    allow_failed: bool = False
    """Pack in spite of a failed verdict; the manifest says so."""


class Config(Section):
    """The whole file. `root` is its folder: relative paths start there."""

    name: str = ""
    """Default: the name of the configuration's folder."""
    version: str = "1.0.0"
    """Of the model; the bundle's manifest has it."""
    model: ModelConfig
    data: DataConfig = DataConfig()
    input: InputConfig = InputConfig()
    output: OutputConfig = OutputConfig()
    train: TrainConfig = TrainConfig()
    export: ExportConfig = ExportConfig()
    quantize: QuantizeConfig = QuantizeConfig()
    verify: VerifyConfig = VerifyConfig()
    bench: BenchConfig = BenchConfig()
    package: PackageConfig = PackageConfig()
    root: Path = Field(default=Path(), exclude=True)

    @field_validator("name", "version")
    @classmethod
    def _portable(cls, value: str) -> str:
        if value and not PORTABLE.match(value):
            raise ValueError("letters, digits, '.', '_' and '-' only, at most 64")
        return value

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        foreign = self.model.torchscript or self.model.onnx
        if foreign and "epochs" in self.train.model_fields_set and self.train.epochs:
            raise ValueError(f"train.epochs: {foreign} cannot be trained; leave epochs out or 0")
        if self.quantize.qat_epochs and self.train.patience is not None:
            raise ValueError(
                "quantize.qat_epochs follow a known number of epochs; leave train.patience out"
            )
        formats_given = "formats" in self.export.model_fields_set
        if self.model.onnx and formats_given and "torchscript" in self.export.formats:
            raise ValueError(
                f'export.formats: {self.model.onnx} cannot become TorchScript; give ["onnx"]'
            )
        if self.output.labels is not None and self.output.kind != "classification":
            raise ValueError('output.labels belong to output.kind = "classification"')
        return self

    @property
    def epochs(self) -> int:
        """Epochs that are really trained: 0 for a model that is a file, or without data."""
        trainable = self.model.entry is not None and self.data.entry is not None
        return self.train.epochs + self.quantize.qat_epochs if trainable else 0

    @property
    def formats(self) -> tuple[Literal["torchscript", "onnx"], ...]:
        """Formats that are really exported: an ONNX file stays ONNX."""
        return ("onnx",) if self.model.onnx else self.export.formats

    @property
    def activation(self) -> Literal["none", "softmax", "sigmoid"]:
        if self.output.activation == "auto":
            return "softmax" if self.output.kind == "classification" else "none"
        return self.output.activation

    def path(self, given: str) -> Path:
        """A path of the configuration, as seen from its folder."""
        return (self.root / Path(given).expanduser()).resolve()

    def labels(self) -> tuple[str, ...] | None:
        """The class names, read from the file where one is named.

        Raises UsageError if that file cannot be read or holds no label.
        """
        given = self.output.labels
        if not isinstance(given, str):
            return given
        path = self.path(given)
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"output.labels: {path} cannot be read: {error}.") from error
        labels = tuple(line.strip() for line in lines if line.strip())
        if not labels:
            raise UsageError(f"output.labels: {path} holds no label.", "Write one a line.")
        return labels


def threads_or_all(threads: int) -> int:
    """0 stands for every core that this process may use."""
    return threads or len(os.sched_getaffinity(0))


def _check_entry(value: str | None) -> str | None:
    if value is not None and not ENTRY.match(value):
        raise ValueError(
            f"{value!r} is not of the form file.py:function or package.module:function"
        )
    return value
