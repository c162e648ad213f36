"""Samples as every runtime gets them: arrays without a batch axis, in the order of the inputs.

A dataset of the user's yields `(input, target)`. The input is what the exported model takes: for
`image` a uint8 picture [height, width, channels] of any size (array, tensor or PIL image), for
`tensor` an array or tensor, or a tuple or dict of them.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline.config import Config, ImageConfig, ModelInput
from pipeline.errors import UsageError
from pipeline.graph.array import Array, Row
from pipeline.graph.signature import DTYPES, Signature
from pipeline.project.entries import load_splits, user_code
from pipeline.project.values import within

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
    inputs: list[Row]
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
    names = tuple(config.named_inputs) or None
    if config.data.entry is None:
        nested = any("." in name for name in names or ())  # which no position says
        return Samples(names, nested, list(_synthetic(config, split, count)), None)
    keywords, named, inputs, targets = False, None, [], []
    for sample, arrays, target in _chosen(config, split, count):
        keywords = isinstance(sample, Mapping)
        named = keys(config, sample)
        inputs.append(arrays)
        targets.append(np.asarray(target))
    return Samples(names or named, keywords, inputs, targets)


def stream_samples(config: Config, split: Split, count: int) -> Iterator[Row]:
    """The inputs of `load_samples`, holding no more than one."""
    if config.data.entry is None:
        yield from _synthetic(config, split, count)
    else:
        yield from (arrays for _, arrays, _ in _chosen(config, split, count))


def _chosen(config: Config, split: Split, count: int) -> Iterator[tuple[object, Row, object]]:
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


def keys(config: Config, sample: object) -> tuple[str, ...] | None:
    """What a dict sample calls its inputs, in the order of `to_arrays`; None for others."""
    if not isinstance(sample, Mapping):
        return None
    return tuple(config.named_inputs) or tuple(name for name, _ in _paths(sample))


def to_arrays(config: Config, sample: object, where: str) -> Row:
    """The input of one sample as arrays, in the order of `[inputs]`, checked against it."""
    named = config.named_inputs
    if isinstance(sample, Mapping):
        names, parts = _by_name(config, dict(_paths(sample)), where)
    else:
        parts = sample if isinstance(sample, tuple | list) else (sample,)
        names = tuple(named) or tuple(f"input_{index}" for index in range(len(parts)))
    return tuple(
        _to_array(config, config.input_named(name), part, where)
        for name, part in zip(names, parts, strict=False)
    )


def _paths(sample: Mapping[Any, object], before: str = "") -> Iterator[tuple[str, object]]:
    """What lies in a dict, and in dicts and tuples in it, by its path: `past.0.key`."""
    for key, value in sample.items():
        path = f"{before}{key}"
        if isinstance(value, tuple):
            value = dict(enumerate(value))  # noqa: PLW2901
        if isinstance(value, Mapping):
            yield from _paths(value, f"{path}.")
        else:
            yield path, value


def _by_name(
    config: Config, sample: Mapping[str, object], where: str
) -> tuple[tuple[str, ...], Sequence[object]]:
    """Names and values, in the order of the configuration where that has one."""
    named = config.named_inputs
    if not named:
        return tuple(sample), list(sample.values())
    if sample.keys() != named.keys():
        what = '[input] kind = "image" takes the picture alone.'
        if config.inputs or not config.images:
            what = f"the configuration has {', '.join(named)}."
        raise UsageError(
            f"{where} is a dict of {', '.join(map(str, sample)) or 'nothing'}; {what}",
            "Say what each input is, in a table of its own: [inputs.NAME] with its kind.",
        )
    return tuple(named), [sample[name] for name in named]


def _to_array(config: Config, known: ModelInput, part: object, where: str) -> Array:
    name = known.name
    if part is None:
        raise UsageError(
            f"{where}: {name} is None; an exported model takes a tensor for each input.",
            f"Leave {name} out of every sample if the model has a default for it.",
        )
    if known.image:
        return _to_pixels(known.image, part, f"{where}: {name}" if config.inputs else where)
    array = np.asarray(part)
    if known.dtype is not None:
        array = _as_type(array, known.dtype, f"{where}: {name}")
    elif array.dtype == np.float64:
        array = array.astype(np.float32)
    if array.dtype not in _TAKEN and array.dtype.name not in DTYPES:
        raise UsageError(f"{where}: {name} is {array.dtype}, which no runtime supports.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UsageError(
            f"{where}: {name} holds NaN or infinity.", "Clean the data; [data] entry makes it."
        )
    return array


def _as_type(array: Array, dtype: str, what: str) -> Array:
    with np.errstate(invalid="ignore"):
        converted = array.astype(dtype)
    if array.dtype.kind == "f" and converted.dtype.kind in "iub" and (converted != array).any():
        raise UsageError(
            f"{what} is to be {dtype}, and holds numbers that are none.",
            "Check [inputs] dtype, and the order of the inputs in a sample.",
        )
    return converted


def batches(
    samples: Samples, signature: Signature, size: int
) -> Iterator[tuple[list[int], list[Array]]]:
    """Indices and inputs of at most `size` neighbours that may share a call, in which a batch of
    fixed size is filled up."""
    start = 0
    for rows in signature.grouped(samples.inputs, size):
        yield list(range(start, start + len(rows))), signature.batched(rows)
        start += len(rows)


def _to_pixels(image: ImageConfig, picture: object, where: str) -> Array:
    channels = image.channels
    if hasattr(picture, "convert") and hasattr(picture, "getbands"):  # a PIL image
        if image.pixels == "uint8" and channels in (1, 3):
            picture = picture.convert("L" if channels == 1 else "RGB")
        array = np.asarray(picture)
        if image.layout == "nchw" and array.ndim == 3:
            array = array.transpose(2, 0, 1)
    else:
        array = np.asarray(picture)
    axis = 2 if image.layout == "nhwc" else 0
    if array.ndim == 2 and channels == 1:
        array = np.expand_dims(array, axis)
    if image.pixels == "uint16" and array.dtype == np.uint16:
        array = array.astype(np.int32)
    fits = array.ndim == 3 and array.shape[axis] == channels
    if array.dtype != image.pixel_type or not fits:
        axes = f"height, width, {channels}" if axis else f"{channels}, height, width"
        raise UsageError(
            f"{where} is {array.dtype}{list(array.shape)}; "
            f'kind = "image" takes {image.pixels}[{axes}].',
            "Hand over raw pixels: resizing and normalising happen inside the graph.",
        )
    return array


def _seed(split: str) -> int:
    return zlib.crc32(split.encode())


def _synthetic(config: Config, split: Split, count: int) -> Iterator[Row]:
    rng = np.random.default_rng(_seed(split))
    named = config.named_inputs.values()
    unknown = next((one.name for one in named if not one.image and one.axes is None), None)
    if unknown is not None or not named:
        raise UsageError(
            "Neither [data] entry nor a shape is given: what the model takes is unknown"
            f"{f' of {unknown}' if unknown else ''}.",
            f'Give it: [inputs.{unknown or "x"}] shape = ["batch", 30]',
        )
    # An axis has one size, whichever input says it.
    sizes = {axis: tried[0] for one in named for axis, tried in (one.sizes or {}).items()}
    for _ in range(count):
        yield tuple(_noise(one, sizes, rng) for one in named)


def _noise(one: ModelInput, sizes: Mapping[str, int], rng: np.random.Generator) -> Array:
    """Inside `values`; without them normal, or integers that any model takes: 0 and 1."""
    if one.image:
        return _picture(rng, one.image)
    shape = [
        axis if isinstance(axis, int) else sizes.get(axis, SYNTHETIC_AXIS)
        for axis in one.sample_axes or ()
    ]
    dtype = np.dtype(one.dtype or "float32")
    if one.values is not None:
        return within(one.values, dtype, shape, rng)
    drawn = rng.normal(size=shape) if dtype.kind == "f" else rng.integers(0, 2, shape)
    return np.asarray(drawn).astype(dtype)


def _picture(rng: np.random.Generator, image: ImageConfig) -> Array:
    pixels = _blurred(rng, (*image.size, image.channels))
    if image.layout == "nchw":
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    if image.pixels == "uint8":
        return pixels
    scaled = pixels.astype(np.int32) * 257 if image.pixels == "uint16" else pixels / 255
    return np.asarray(scaled).astype(image.pixel_type)


def _blurred(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Noise with large patches, as pictures have them: white noise averages out in a resize."""
    height, width, channels = shape
    coarse = rng.integers(0, 256, (-(-height // 8), -(-width // 8), channels))
    fine = rng.integers(-32, 33, shape)
    patches = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    pixels: Array = np.clip(patches + fine, 0, 255).astype(np.uint8)
    return pixels
