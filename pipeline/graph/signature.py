"""What goes into a model and comes out: names, element types, shapes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pipeline.errors import DamagedError

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    `shape` counts the batch axis first; None is an axis of any size. `meaning` is a sentence for
    people ("RGB pixels, 0 to 255").
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    meaning: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "meaning": self.meaning,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        try:
            spec = cls(data["name"], data["dtype"], tuple(data["shape"]), data["meaning"])
        except (KeyError, TypeError) as error:
            raise DamagedError(f"A tensor description is malformed: {error}.") from error
        if spec.dtype not in DTYPES:
            raise DamagedError(f"Tensor {spec.name!r} has the unknown element type {spec.dtype!r}.")
        return spec

    def __str__(self) -> str:
        axes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name}: {self.dtype}[{axes}]"


@dataclass(frozen=True)
class Signature:
    """`Signature.from_json(s.to_json()) == s` for every signature s."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            tuple(TensorSpec.from_json(spec) for spec in data["inputs"]),
            tuple(TensorSpec.from_json(spec) for spec in data["outputs"]),
        )
