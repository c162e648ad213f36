"""Samples as every runtime gets them: arrays without a batch axis, in the order of the inputs.

A dataset of the user's yields `(input, target)`. The input is what the exported model takes: for
`image` a uint8 picture [height, width, channels] of any size (array, tensor or PIL image), for
`tensor` an array or tensor, or a tuple or dict of them.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.array import Array
from pipeline.graph.signature import DTYPES
from pipeline.project.entries import load_splits, user_code

if TYPE_CHECKING:
    pass

Split = Literal["train", "validation", "calibration"]

# The element types themselves: asking a type for its name takes longer than all else here.
_TAKEN = frozenset(np.dtype(name) for name in DTYPES)

SYNTHETIC_AXIS = 8  # the size of a dynamic axis in synthetic samples


@dataclass(frozen=True)
class Samples:
    """Some samples of one split.

    `inputs[i]` are the arrays of sample i, one for each name in `names`. `targets` is None
    where the data is synthetic. `keywords` says that samples are dicts, so that the model is
    called by name.
    """

    names: tuple[str, ...] | None
    keywords: bool
    inputs: list[tuple[Array, ...]]
    targets: list[Array] | None

    @property
    def synthetic(self) -> bool:
        return self.targets is None

    def __len__(self) -> int:
        return len(self.inputs)


def load_samples(config: Config, split: Split, count: int) -> Samples:
    """`count` samples of a split, or all if it has fewer, chosen with a seed of the split's name.

    Without `[data] entry`: seeded noise. Raises UsageError for an empty or misshapen split.
    """
    if config.data.entry is None:
        names = ("image",) if config.input.kind == "image" else tuple(config.input.shapes)
        return Samples(names, False, list(_synthetic(config, split, count)), None)
    keywords, named, inputs, targets = False, None, [], []
    for sample, arrays, target in _chosen(config, split, count):
        keywords = isinstance(sample, Mapping)
        named = keys(sample)
        inputs.append(arrays)
        targets.append(np.asarray(target))
    return Samples(named or _given_names(config), keywords, inputs, targets)


def stream_batches(config: Config, split: Split, count: int, size: int) -> Iterator[list[Array]]:
    """The inputs of `load_samples` as `batches` stacks them, holding no more than one batch."""
    if config.data.entry is None:
        inputs = _synthetic(config, split, count)
    else:
        inputs = (arrays for _, arrays, _ in _chosen(config, split, count))
    rows: list[tuple[Array, ...]] = []
    for row in inputs:
        if rows and (len(rows) == size or _shapes(row) != _shapes(rows[0])):
            yield [np.stack(column) for column in zip(*rows, strict=True)]
            rows = []
        rows.append(row)
    if rows:
        yield [np.stack(column) for column in zip(*rows, strict=True)]


def _shapes(row: tuple[Array, ...]) -> list[tuple[int, ...]]:
    return [array.shape for array in row]


def _chosen(
    config: Config, split: Split, count: int
) -> Iterator[tuple[object, tuple[Array, ...], object]]:
    """(input as given, its arrays, target) of the samples that a seed chooses, one by one."""
    (dataset,) = load_splits(config, split)
    size = len(dataset)  # type: ignore[arg-type]
    order = np.random.default_rng(_seed(split)).permutation(size)[:count]
    for index in sorted(order.tolist()):
        with user_code(f"{config.data.entry}, {split} sample {index}", config.root):
            item = dataset[index]
        sample, target = pair(item, split, index)
        yield sample, to_arrays(config, sample, f"{split} sample {index}"), target


def pair(item: object, split: str, index: int) -> tuple[Any, Any]:
    """An item of a dataset as (input, target)."""
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    what = f"{type(item).__name__} of {len(item)}" if isinstance(item, tuple | list) else None
    raise UsageError(
        f"{split} sample {index} is a {what or type(item).__name__}, not (input, target).",
        "Several inputs go into a tuple or dict of their own: ((a, b), target).",
    )


def keys(sample: object) -> tuple[str, ...] | None:
    """What a sample that is a dict calls its inputs; None for others."""
    return tuple(str(key) for key in sample) if isinstance(sample, Mapping) else None


def to_arrays(config: Config, sample: object, where: str) -> tuple[Array, ...]:
    """The input of one sample as arrays, checked against `[input]`."""
    if config.input.kind == "image":
        return (_to_pixels(config, sample, where),)
    if isinstance(sample, Mapping):
        parts: Sequence[object] = list(sample.values())
    else:
        parts = sample if isinstance(sample, tuple | list) else (sample,)
    arrays = []
    positions = (f"input_{index}" for index in range(len(parts)))
    names = _given_names(config) or keys(sample) or positions
    for name, part in zip(names, parts, strict=False):
        if part is None:
            raise UsageError(
                f"{where}: {name} is None; an exported model takes a tensor for each input.",
                f"Leave {name} out of every sample if the model has a default for it.",
            )
        array = np.asarray(part)
        if array.dtype == np.float64 and name not in config.input.dtypes:
            array = array.astype(np.float32)
        if name in config.input.dtypes:
            array = array.astype(config.input.dtypes[name])
        if array.dtype not in _TAKEN and array.dtype.name not in DTYPES:
            raise UsageError(f"{where}: {name} is {array.dtype}, which no runtime supports.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(
                f"{where}: {name} holds NaN or infinity.", "Clean the data; [data] entry makes it."
            )
        arrays.append(array)
    return tuple(arrays)


def batches(samples: Samples, size: int) -> Iterator[tuple[list[int], list[Array]]]:
    """Indices and stacked inputs of at most `size` neighbours of the same shape."""
    start = 0
    while start < len(samples):
        shapes = [array.shape for array in samples.inputs[start]]
        end = start + 1
        while (
            end < len(samples)
            and end - start < size
            and [array.shape for array in samples.inputs[end]] == shapes
        ):
            end += 1
        rows = samples.inputs[start:end]
        yield list(range(start, end)), [np.stack(column) for column in zip(*rows, strict=True)]
        start = end


def filled(inputs: list[Array], size: int | None) -> list[Array]:
    """A batch with its last rows repeated up to `size`, where a signature fixes that."""
    missing = (size or 0) - len(inputs[0])
    if missing <= 0:
        return inputs
    return [np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]) for array in inputs]


def _to_pixels(config: Config, picture: object, where: str) -> Array:
    channels = config.input.channels
    if hasattr(picture, "convert") and hasattr(picture, "getbands"):  # a PIL image
        picture = picture.convert("L" if channels == 1 else "RGB")
    array = np.asarray(picture)
    if array.ndim == 2 and channels == 1:
        array = array[:, :, None]
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != channels:
        raise UsageError(
            f"{where} is {array.dtype}{list(array.shape)}; "
            f'[input] kind = "image" takes uint8[height, width, {channels}].',
            "Hand over raw pixels: resizing and normalising happen inside the graph.",
        )
    return array


def _given_names(config: Config) -> tuple[str, ...] | None:
    if config.input.kind == "image":
        return ("image",)
    return tuple(config.input.shapes) or None


def _seed(split: str) -> int:
    return zlib.crc32(split.encode())


def _synthetic(config: Config, split: Split, count: int) -> Iterator[tuple[Array, ...]]:
    rng = np.random.default_rng(_seed(split))
    if config.input.kind == "image":
        for _ in range(count):
            yield (_blurred(rng, (*config.input.size, config.input.channels)),)
        return
    if not config.input.shapes:
        raise UsageError(
            "Neither [data] entry nor [input] shapes is given: the model's input is unknown.",
            'Give shapes: [input] shapes = { x = ["batch", 30] }',
        )
    for _ in range(count):
        row = []
        for name, axes in config.input.shapes.items():
            sizes = [axis if isinstance(axis, int) else SYNTHETIC_AXIS for axis in axes[1:]]
            dtype = np.dtype(config.input.dtypes.get(name, "float32"))
            noise = rng.normal(size=sizes) if dtype.kind == "f" else rng.integers(0, 2, sizes)
            row.append(noise.astype(dtype))
        yield tuple(row)


def _blurred(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Noise with large patches, as pictures have them: white noise averages out in a resize."""
    height, width, channels = shape
    coarse = rng.integers(0, 256, (-(-height // 8), -(-width // 8), channels))
    fine = rng.integers(-32, 33, shape)
    patches = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    pixels: Array = np.clip(patches + fine, 0, 255).astype(np.uint8)
    return pixels
