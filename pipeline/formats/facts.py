"""The facts of a model file, as values."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

DAMAGED_HINT = "Make the file again: whatever wrote it did not finish, or it was changed since."


@dataclass(frozen=True)
class Layer:
    """One stored tensor. `dtype` is the element type in the file, `bytes` what it takes there."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True)
class Port:
    """An input or output as the file declares it.

    TorchScript declares neither element type nor shape: both are None there. A dynamic axis of
    an ONNX file is its name, or None where it has none.
    """

    name: str
    dtype: str | None
    shape: tuple[int | str | None, ...] | None


@dataclass(frozen=True)
class Facts:
    """What a file says of itself.

    operators     how often each operator stands in the graph, subgraphs and submodules included:
                  ONNX op types (`com.microsoft.` before those of another domain), TorchScript
                  kinds (`aten::relu`, `quantized::linear`) without the `prim::` bookkeeping
    version       ONNX opset of the default domain, or the version of the TorchScript archive
    weight_bytes  bytes by element type over all stored tensors
    layers        every stored tensor, largest first
    provenance    producer and versions, as far as the format has them
    unsafe        why no runner loads the file, None where they do as far as was looked
    """

    operators: dict[str, int]
    version: int
    weight_bytes: dict[str, int]
    layers: tuple[Layer, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    unsafe: str | None = None


def weight_bytes(layers: tuple[Layer, ...]) -> dict[str, int]:
    """Bytes by element type."""
    totals: Counter[str] = Counter()
    for layer in layers:
        totals[layer.dtype] += layer.bytes
    return dict(sorted(totals.items()))


def by_size(layers: Iterator[Layer]) -> tuple[Layer, ...]:
    """Largest first, then by name."""
    return tuple(sorted(layers, key=lambda layer: (-layer.bytes, layer.name)))
