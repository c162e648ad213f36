"""`[model]` and `[data]`: the user's own."""

from typing import Any, Self

from pydantic import field_validator, model_validator

from pipeline.config.base import Section, check_entry


class ModelConfig(Section):
    """Where the model comes from: one of `entry`, `torchscript`, `onnx`."""

    entry: str | None = None
    """`file.py:fn`, `package.module:fn`, `timm:NAME` or `torchvision:NAME`."""
    args: dict[str, Any] = {}
    """Keyword arguments for the entry."""
    weights: str | None = None
    """A .safetensors file, or what `torch.load(weights_only=True)` reads: a state dict, or a
    checkpoint with one in it. Prefixes such as `module.` are stripped."""
    weights_key: str | None = None
    """Which part of a checkpoint: `"ema.state_dict"`. Default: averaged weights before others."""
    torchscript: str | None = None
    """An existing TorchScript file, instead of `entry`."""
    onnx: str | None = None
    """An existing ONNX file, instead of `entry`. Names, shapes and element types of its inputs are
    the file's; `[inputs]` says what it leaves open."""

    @field_validator("entry")
    @classmethod
    def _entry_has_a_colon(cls, value: str | None) -> str | None:
        return check_entry(value)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [key for key in ("entry", "torchscript", "onnx") if getattr(self, key)]
        if len(given) != 1:
            said = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of entry, torchscript, onnx; given: {said}")
        if self.weights_key and not self.weights:
            raise ValueError("weights_key goes with weights")
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
        return check_entry(value)
