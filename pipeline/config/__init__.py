"""`pipeline.toml`: every key, its meaning and its default stand here, once, a file a section."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config.base import Section, threads_or_all
from pipeline.config.bench import BenchConfig
from pipeline.config.export import ExportConfig, Format
from pipeline.config.model import DataConfig, ModelConfig
from pipeline.config.onnx_file import inputs_of_onnx
from pipeline.config.package import PackageConfig
from pipeline.config.quantize import QuantizeConfig
from pipeline.config.signature import (
    BATCH_AXIS,
    Axes,
    ImageConfig,
    InputConfig,
    ModelInput,
    NamedInputConfig,
    NamedOutputConfig,
    OutputConfig,
    ValuesConfig,
    inputs_of_short_form,
    inputs_of_tables,
)
from pipeline.config.train import NO_WEIGHT_DEPENDS_ON, TrainConfig
from pipeline.config.verify import Tolerances, VerifyConfig
from pipeline.config.zoo import image_of_zoo
from pipeline.errors import UsageError

__all__ = [
    "BATCH_AXIS",
    "NO_WEIGHT_DEPENDS_ON",
    "Axes",
    "BenchConfig",
    "Config",
    "DataConfig",
    "ExportConfig",
    "ImageConfig",
    "InputConfig",
    "ModelConfig",
    "ModelInput",
    "NamedInputConfig",
    "NamedOutputConfig",
    "OutputConfig",
    "PackageConfig",
    "QuantizeConfig",
    "Tolerances",
    "TrainConfig",
    "ValuesConfig",
    "VerifyConfig",
    "threads_or_all",
]

# A name that is also a file name on every system.
PORTABLE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


class Config(Section):
    """The whole file. `root` is its folder: relative paths start there."""

    name: str = ""
    """Default: the name of the configuration's folder."""
    version: str = "1.0.0"
    """Of the model; the bundle's manifest has it."""
    model: ModelConfig
    data: DataConfig = DataConfig()
    input: InputConfig = InputConfig()
    inputs: dict[str, NamedInputConfig] = {}
    """Several inputs by name, each of its own kind, instead of `[input]`; in the order of the
    model's parameters."""
    output: OutputConfig = OutputConfig()
    outputs: dict[str, NamedOutputConfig] = {}
    """Outputs by name, where the model alone does not show which axis is the batch's, or which
    depend on the data."""
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
        if self.inputs and self.input.model_fields_set:
            raise ValueError("[input] and [inputs] are two ways to say one thing; give one of them")
        if self.output.labels is not None and self.output.kind != "classification":
            raise ValueError('output.labels belong to output.kind = "classification"')
        return self

    @cached_property
    def named_inputs(self) -> Mapping[str, ModelInput]:
        """What is said of each input, in order; nothing where the samples say all. What a model of
        timm or torchvision says of its pictures counts where the file says nothing."""
        named = inputs_of_tables(self.inputs) if self.inputs else inputs_of_short_form(self.input)
        if self.model.onnx and not any(one.image for one in named.values()):
            named = self._with_file(named)
        if not any(one.image for one in named.values()):
            return named
        zoo = image_of_zoo(self.model.entry)
        return {name: one.as_trained(zoo) for name, one in named.items()}

    def _with_file(self, named: dict[str, ModelInput]) -> dict[str, ModelInput]:
        """What the configuration leaves open of the inputs of an ONNX file."""
        assert self.model.onnx is not None
        if named and all(one.axes is not None and one.dtype for one in named.values()):
            return named
        own = inputs_of_onnx(self.path(self.model.onnx))
        if not named:
            dtypes = self.input.dtypes
            return {n: replace(one, dtype=dtypes.get(n, one.dtype)) for n, one in own.items()}
        return {n: one.completed(own[n]) if n in own else one for n, one in named.items()}

    @property
    def images(self) -> bool:
        """Whether an input is prepared as a picture."""
        return any(one.image for one in self.named_inputs.values())

    @property
    def picture(self) -> int | None:
        """The number of the first input that is a picture which people can look at."""
        named = enumerate(self.named_inputs.values())
        return next((n for n, one in named if one.image and one.image.is_picture), None)

    def input_named(self, name: str) -> ModelInput:
        known = self.named_inputs.get(name)
        return known or ModelInput(name, dtype=self.input.dtypes.get(name))

    @property
    def epochs(self) -> int:
        """Epochs that are really trained: 0 for a model that is a file, without data, or where
        nothing says by what to train."""
        trainable = self.model.entry is not None and self.data.entry is not None
        return self.train.epochs + self.quantize.qat_epochs if trainable and self.has_loss else 0

    @property
    def has_loss(self) -> bool:
        """Whether a loss is named or follows from the outputs, or epochs are asked for."""
        asked = "epochs" in self.train.model_fields_set or self.quantize.qat_epochs > 0
        return self.output.kind != "tensor" or self.train.loss is not None or asked

    @property
    def formats(self) -> tuple[Format, ...]:
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
