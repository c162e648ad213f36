"""What goes into a model and comes out: names, element types, axes, which one counts samples."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, get_args

from pipeline.config.base import Dtype
from pipeline.errors import DamagedError

if TYPE_CHECKING:
    from pipeline.graph.array import Array, Row

DTYPES: tuple[str, ...] = get_args(Dtype)


class Shaped(Protocol):
    """An array, or a tensor of torch's."""

    @property
    def shape(self) -> Sequence[int]: ...


def stacked(arrays: "Sequence[Array]", batch_axis: int | None) -> "Array":
    """Samples along a new axis; the first of them where there is none."""
    import numpy as np

    if batch_axis is None:
        return arrays[0]
    stack: Array = np.stack(arrays, batch_axis)
    return stack


@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    `shape` has every axis; None is one of any size. `meaning` is a sentence for people ("RGB
    pixels, 0 to 255"). `batch_axis` counts samples: None for what all samples of a batch share
    (a sampling rate, a constant), or what does not say which row is whose.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    meaning: str = ""
    batch_axis: int | None = 0

    @property
    def sample_shape(self) -> tuple[int | None, ...]:
        """Of one sample: without the axis of the batch."""
        return tuple(size for axis, size in enumerate(self.shape) if axis != self.batch_axis)

    @property
    def fixed_batch(self) -> int | None:
        """How many samples it always holds; None for any number, and without that axis."""
        return None if self.batch_axis is None else self.shape[self.batch_axis]

    def stacked(self, arrays: "Sequence[Array]") -> "Array":
        """Samples as one tensor; what has no axis of the batch is the first of them."""
        return stacked(arrays, self.batch_axis)

    def rows(self, tensor: "Array", count: int) -> "Array":
        """The first `count` samples of a tensor, [count, ...]; one row of it all, [1, ...], where
        no axis counts samples."""
        import numpy as np

        if self.batch_axis is None:
            return tensor[None]
        return np.moveaxis(tensor, self.batch_axis, 0)[:count]

    def counts(self, shape: Sequence[int], samples: int) -> bool:
        """Whether a shape holds so many samples, as far as it says."""
        return self.batch_axis is None or shape[self.batch_axis] == samples

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "meaning": self.meaning,
            "batch_axis": self.batch_axis,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        try:
            shape = tuple(data["shape"])
            axis = data.get("batch_axis", 0)  # the first, in files of before that key
            spec = cls(data["name"], data["dtype"], shape, data["meaning"], axis)
        except (KeyError, TypeError) as error:
            raise DamagedError(f"A tensor description is malformed: {error}.") from error
        if spec.dtype not in DTYPES:
            raise DamagedError(f"Tensor {spec.name!r} has the unknown element type {spec.dtype!r}.")
        if axis is not None and not (isinstance(axis, int) and 0 <= axis < len(shape)):
            raise DamagedError(f"Tensor {spec.name!r} has no axis {axis!r}.")
        return spec

    def __str__(self) -> str:
        axes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name}: {self.dtype}[{axes}]"


@dataclass(frozen=True)
class Signature:
    """`Signature.from_json(s.to_json()) == s` for every signature s."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def fixed_batch(self) -> int | None:
        """How many samples every call takes; 1 where no input counts them, None for any number."""
        sizes = [spec.fixed_batch for spec in self.inputs if spec.batch_axis is not None]
        return sizes[0] if sizes else 1

    def batch_size(self, wanted: int) -> int:
        """How many to ask at once: one where the first output does not say which row is whose."""
        if self.fixed_batch is not None:
            return self.fixed_batch
        return 1 if self.outputs[0].batch_axis is None else wanted

    def batched(self, rows: "Sequence[Row]") -> "list[Array]":
        """Samples that may share a call, as its inputs; the last one repeated to a fixed size."""
        missing = max(0, (self.fixed_batch or 0) - len(rows))
        columns = zip(*rows, *[rows[-1]] * missing, strict=True)
        return [spec.stacked(column) for spec, column in zip(self.inputs, columns, strict=True)]

    def may_share(self, one: "Row", other: "Row") -> bool:
        """Whether two samples fit into one call: the same shapes, and the same values where an
        input has no axis of the batch."""
        import numpy as np

        return all(
            a.shape == b.shape and (spec.batch_axis is not None or np.array_equal(a, b))
            for spec, a, b in zip(self.inputs, one, other, strict=True)
        )

    def grouped(self, rows: "Iterator[Row] | Sequence[Row]", size: int) -> "Iterator[list[Row]]":
        """Neighbours that may share a call, at most `size` of them."""
        group: list[Row] = []
        for row in rows:
            if group and (len(group) == size or not self.may_share(group[0], row)):
                yield group
                group = []
            group.append(row)
        if group:
            yield group

    def samples_of(self, inputs: Sequence[Shaped]) -> int:
        """How many samples a call's inputs hold."""
        for spec, array in zip(self.inputs, inputs, strict=True):
            if spec.batch_axis is not None:
                return int(array.shape[spec.batch_axis])
        return 1

    def part(self, inputs: "Sequence[Array]", start: int, stop: int) -> "list[Array]":
        """The samples `start` to `stop` of a call's inputs."""
        import numpy as np

        taken = range(start, min(stop, self.samples_of(inputs)))
        return [
            array if spec.batch_axis is None else np.take(array, taken, spec.batch_axis)
            for spec, array in zip(self.inputs, inputs, strict=True)
        ]

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
