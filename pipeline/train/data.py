"""Batches: which samples, in what order, prepared as the exported graph prepares them."""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from pipeline.config import Config
from pipeline.errors import PipelineError, SetupError, UsageError, first_line
from pipeline.graph.array import Array
from pipeline.graph.preprocess import Preprocess
from pipeline.project.entries import user_code
from pipeline.project.samples import keys, pair, to_arrays
from pipeline.train import rng
from pipeline.train.stop import shield_worker
from pipeline.train.worker_deaths import deaths
from pipeline.train.world import World

# Pictures that are resized at once hold at most so many pixels: 64 MB in float32 RGB, about.
PIXELS_AT_ONCE = 5_000_000


@dataclass(frozen=True)
class Share:
    """What one process takes of a batch of `total` samples.

    A batch of fewer samples than processes leaves some without: such a one takes the first sample
    as a stand-in, since every process has to take part in a step, and it counts for nothing.
    """

    indices: list[int]
    total: int
    counted: int


Key = tuple[int, Share]  # epoch, samples


@dataclass(frozen=True)
class Batch:
    """`inputs` [n, ...] as the model takes them, `targets` [n, ...], `indices` int64 [n].

    `names` are the keys of dict samples, for a model that is called by name; None for others.
    Of the n samples `counted` count, all or none; all processes together have `total`.
    """

    inputs: tuple[Tensor, ...]
    targets: Tensor
    indices: Tensor
    names: tuple[str, ...] | None
    total: int
    counted: int

    def to(self, device: torch.device) -> "Batch":
        inputs = tuple(tensor.to(device, non_blocking=True) for tensor in self.inputs)
        return replace(self, inputs=inputs, targets=self.targets.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """What DataLoader calls for a GPU: the same in memory that copies faster."""
        inputs = tuple(tensor.pin_memory() for tensor in self.inputs)
        return replace(self, inputs=inputs, targets=self.targets.pin_memory())

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class Failure:
    """An error of a worker process, which would otherwise arrive as a printed traceback."""

    message: str
    hint: str | None


def size_of(dataset: "Dataset[Any]") -> int:
    return len(dataset)  # type: ignore[arg-type]  # build_datasets has checked it


def shuffled(dataset: "Dataset[Any]", seed: int, epoch: int) -> list[int]:
    """The order of an epoch: a permutation that is a function of (seed, epoch).

    Of all samples alike, unless the dataset has a method `order(seed)` of its own: one that reads
    from large files keeps near each other in time what lies near each other there.
    """
    size, own_seed = size_of(dataset), rng.derive("order", seed, epoch)
    own = getattr(dataset, "order", None)
    if own is None:
        generator = torch.Generator().manual_seed(own_seed)
        order: list[int] = torch.randperm(size, generator=generator).tolist()
        return order
    own_order = np.asarray(own(own_seed))
    if own_order.shape != (size,) or not np.array_equal(np.sort(own_order), np.arange(size)):
        raise UsageError(
            f"order() of the training set is not a permutation of its {size} samples.",
            "Return each index from 0 to len() - 1 once.",
        )
    return [int(index) for index in own_order]


def split_batches(order: Sequence[int], batch_size: int, world: World) -> list[Share]:
    """This process's share of each batch; `batch_size` counts the samples of all processes."""
    shares = []
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        own = list(batch[world.rank :: world.size])
        shares.append(Share(own or [batch[0]], len(batch), len(own)))
    return shares


class BatchMaker(Dataset[Batch | Failure]):
    """Makes the batch that a key stands for, in a worker process or here.

    Each sample is read with generators seeded by (seed, epoch, index): which worker reads it, and
    what was read before, changes nothing.
    """

    def __init__(self, config: Config, dataset: "Dataset[Any]", split: str) -> None:
        self.config = config
        self.dataset = dataset
        self.split = split
        self.known = list(config.named_inputs.values())
        self.images = {i: Preprocess(one.image) for i, one in enumerate(self.known) if one.image}

    def __getitem__(self, key: Key) -> Batch | Failure:
        epoch, share = key
        indices = share.indices
        try:
            seed_of = rng.derive_each(self.config.train.seed, self.split, epoch)
            # A worker's own random numbers are nobody's.
            with contextlib.nullcontext() if get_worker_info() else rng.preserved_cpu():
                samples = [self._read(index, seed_of(index)) for index in indices]
            return self._join(samples, share)
        except PipelineError as error:
            return Failure(error.message, error.hint)

    def _read(self, index: int, seed: int) -> tuple[tuple[Array, ...], Array, Any]:
        rng.seed_cpu(seed)
        where = f"{self.split} sample {index}"
        try:
            item = self.dataset[index]
        except Exception:  # entered only now: for each sample it would cost as much as reading it
            with user_code(f"{self.config.data.entry}, {where}", self.config.root):
                raise
        inputs, target = pair(item, self.split, index)
        arrays = to_arrays(self.config, inputs, where)
        return arrays, self._target(target, where), keys(self.config, inputs)

    def _target(self, target: object, where: str) -> Array:
        array = np.asarray(target)
        if array.dtype.kind not in "biuf":
            raise UsageError(
                f"{where}: the target is {type(target).__name__}, not a number or an array.",
                "Turn labels into class numbers; put several targets into one array.",
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(
                f"{where}: the target holds NaN or infinity.",
                "Clean the data; [data] entry makes it.",
            )
        real = array.dtype.kind == "f" or self.config.output.kind == "regression"
        return array.astype(np.float32 if real else np.int64)

    def _join(self, samples: list[tuple[Any, Array, Any]], share: Share) -> Batch:
        names, indices = samples[0][2], share.indices
        for index, sample in zip(indices, samples, strict=True):
            if sample[2] != names or len(sample[0]) != len(samples[0][0]):
                raise UsageError(
                    f"{self.split} samples {indices[0]} and {index} have different inputs: "
                    f"{_inputs(samples[0])} and {_inputs(sample)}.",
                    "Every sample has the same inputs in the same order.",
                )
        columns = zip(*(sample[0] for sample in samples), strict=True)
        inputs = tuple(self._column(number, c, indices) for number, c in enumerate(columns))
        targets = self._stack([sample[1] for sample in samples], indices, "targets")
        return Batch(inputs, targets, torch.tensor(indices), names, share.total, share.counted)

    def _column(self, number: int, arrays: Sequence[Array], indices: list[int]) -> Tensor:
        """One input of all samples, as the model takes it."""
        if number in self.images:
            return prepare(self.images[number], arrays)
        known = self.known[number] if number < len(self.known) else None
        axis = known.batch_axis if known else 0
        if known is None or axis is not None:
            return self._stack(arrays, indices, "inputs", axis or 0)
        for index, array in zip(indices, arrays, strict=True):
            if not np.array_equal(array, arrays[0]):
                raise UsageError(
                    f"{self.split} samples {indices[0]} and {index} have another {known.name}, "
                    "which has no batch axis: one batch has one of it.",
                    "Train with batch_size = 1, or give that input a batch axis.",
                )
        return torch.from_numpy(arrays[0].copy())

    def _stack(
        self, arrays: Sequence[Array], indices: list[int], what: str, axis: int = 0
    ) -> Tensor:
        for index, array in zip(indices, arrays, strict=True):
            if array.shape != arrays[0].shape:
                raise UsageError(
                    f"{self.split} samples {indices[0]} and {index} have {what} of different "
                    f"shapes: {list(arrays[0].shape)} and {list(array.shape)}.",
                    "Pad them to one shape in [data] entry, or train with batch_size = 1.",
                )
        return torch.from_numpy(np.stack(arrays, axis))


def prepare(preprocess: Preprocess, pictures: Sequence[Array]) -> Tensor:
    """Pixels [height, width, channels] (or channels first) of any sizes → float32 [n, channels, h,
    w].

    In memory the channels lie together, as in the exported graph: convolutions are faster so.
    Pictures of one size are resized together; the values are those of one at a time.
    """
    first = pictures[0]
    if len(pictures) * first.size <= PIXELS_AT_ONCE and all(
        picture.shape == first.shape for picture in pictures
    ):
        with torch.no_grad():
            made: Tensor = preprocess(torch.from_numpy(np.stack(pictures)))
        return made.contiguous(memory_format=torch.channels_last)
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for row, picture in enumerate(pictures):
        by_shape.setdefault(picture.shape, []).append(row)
    shape = (len(pictures), preprocess.channels, preprocess.height, preprocess.width)
    result = torch.empty(shape, memory_format=torch.channels_last)
    with torch.no_grad():
        for own_shape, rows in by_shape.items():
            numbers = int(np.prod(own_shape)) // preprocess.channels
            at_once = max(1, PIXELS_AT_ONCE // max(1, numbers))
            for start in range(0, len(rows), at_once):
                some = rows[start : start + at_once]
                pixels = torch.from_numpy(np.stack([pictures[row] for row in some]))
                result[some] = preprocess(pixels)
    return result


class Loader:
    """A DataLoader whose batches are named anew for each epoch, and which can start inside one."""

    def __init__(
        self, config: Config, dataset: "Dataset[Any]", split: str, device: torch.device
    ) -> None:
        self.split = split
        self.dataset = dataset
        self._keys = _Keys()
        train = config.train
        self._loader: DataLoader[Batch | Failure] | None = DataLoader(
            BatchMaker(config, dataset, split),
            batch_size=None,  # a key stands for a whole batch
            sampler=self._keys,
            num_workers=train.workers,
            # From Python 3.14 on they would come from a server that knows nothing of Stop: Ctrl-C
            # would end one that has not got to `shield_worker` yet.
            multiprocessing_context="fork" if train.workers else None,
            pin_memory=train.pin_memory and device.type == "cuda",
            persistent_workers=train.persistent_workers and train.workers > 0,
            worker_init_fn=shield_worker,
            collate_fn=_as_it_is,
            # Its own, so that starting workers takes nothing from the model's random numbers.
            generator=torch.Generator().manual_seed(train.seed),
        )

    def batches(self, epoch: int, shares: list[Share]) -> Generator[Batch, None, None]:
        """The batches of these samples, in this order. Close it to stop in between.

        Raises UsageError for a sample that does not fit, SetupError if a worker dies.
        """
        assert self._loader is not None
        self._keys.keys = [(epoch, share) for share in shares]
        iterator = None
        try:
            with deaths:
                iterator = iter(self._loader)
            while True:
                with deaths:
                    made = next(iterator, None)
                if made is None:
                    return
                if isinstance(made, Failure):
                    raise UsageError(made.message, made.hint)
                yield made
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            died = first_line(error)
        finally:
            # An error's traceback holds this frame, which would hold the workers that still live.
            iterator = None
        # Not from torch's error, whose traceback holds the iterator as well.
        raise SetupError(
            f"A process that reads the data ended: {died}",
            "Memory or /dev/shm may be full. Set train.workers = 0 (or lower), or give it more.",
        )

    def close(self) -> None:
        """Ends the workers."""
        self._loader = None
        deaths.forget()


class _Keys(Sampler[Key]):
    def __init__(self) -> None:
        self.keys: list[Key] = []

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)


def _as_it_is(batch: Any) -> Any:
    return batch


def _inputs(sample: tuple[Any, Array, Any]) -> str:
    return ", ".join(sample[2]) if sample[2] else f"{len(sample[0])} of them"
