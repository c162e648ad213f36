"""Golden samples: a few real inputs with the reference's answers, for every reader to compare."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.bundle import write_tensor
from pipeline.bundle.manifest import File, Golden, GoldenTensor
from pipeline.config import Config
from pipeline.graph.array import Array
from pipeline.graph.signature import Signature
from pipeline.project.samples import Samples, load_samples
from pipeline.runtimes.eager import EagerRunner, wrapped_model

FOLDER = "golden"
SMALL = 64  # pixels; a picture below that is enlarged rather than reduced


@dataclass(frozen=True)
class Chosen:
    """One sample, each input with its batch axis. `label` is its class where it is known."""

    inputs: list[Array]
    label: int | None


def write_golden(
    config: Config, train: Path, signature: Signature, pool: int, bundle: Path
) -> tuple[list[Golden], list[File]]:
    """Writes `[package] golden` samples out of the first `pool` validation samples."""
    samples = load_samples(config, "validation", max(pool, config.package.golden))
    runner = EagerRunner(wrapped_model(config, train, samples), threads=1)
    golden: list[Golden] = []
    files: list[File] = []
    try:
        for number, chosen in enumerate(choose(config, signature, samples)):
            answers = runner.run(chosen.inputs)
            inputs = _write(bundle, number, "input", chosen.inputs, files)
            outputs = _write(bundle, number, "output", answers, files)
            golden.append(Golden(inputs=inputs, outputs=outputs, label=chosen.label))
    finally:
        runner.close()
    return golden, files


def choose(config: Config, signature: Signature, samples: Samples) -> list[Chosen]:
    """As many classes as fit, in their order; then a second sample of each, and so on.

    Where a model takes pictures of any size and all of these have one, the last is given another.
    """
    labels = _labels(config, samples)
    seen: dict[int | None, int] = {}
    ranked = []
    for index, label in enumerate(labels):
        seen[label] = seen.get(label, 0) + 1
        ranked.append((seen[label], -1 if label is None else label, index))
    taken = [index for _, _, index in sorted(ranked)[: config.package.golden]]
    rows = [samples.inputs[index] for index in taken]
    if _any_size(config, signature) and len(rows) > 1 and len({r[0].shape for r in rows}) == 1:
        rows[-1] = (resized(rows[-1][0]),)
    return [
        Chosen(signature.batched([row]), labels[index])
        for row, index in zip(rows, taken, strict=True)
    ]


def resized(picture: Array) -> Array:
    """The nearest pixels of [height, width, channels] in another height and width."""
    height, width = picture.shape[:2]
    if min(height, width) < SMALL:
        new_height, new_width = height + height // 2 + 1, width + width // 4 + 1
    else:
        new_height, new_width = height * 3 // 4, width * 2 // 3
    rows = np.arange(new_height) * height // new_height
    columns = np.arange(new_width) * width // new_width
    return np.ascontiguousarray(picture[rows][:, columns])


def _labels(config: Config, samples: Samples) -> list[int | None]:
    """The class of each sample, None where the task or the target has none."""
    if config.output.kind != "classification" or samples.targets is None:
        return [None] * len(samples)
    return [
        int(target) if target.ndim == 0 and target.dtype.kind in "iub" and target >= 0 else None
        for target in samples.targets
    ]


def _any_size(config: Config, signature: Signature) -> bool:
    only_picture = config.picture == 0 and len(signature.inputs) == 1
    return only_picture and signature.inputs[0].shape[1:3] == (None, None)


def _write(
    bundle: Path, number: int, what: str, arrays: list[Array], files: list[File]
) -> tuple[GoldenTensor, ...]:
    """A file for each array, whose entries go into `files`."""
    written = []
    for index, array in enumerate(arrays):
        which = f".{index}" if len(arrays) > 1 else ""
        tensor, file = write_tensor(bundle, f"{FOLDER}/{number:03}.{what}{which}.bin", array)
        written.append(tensor)
        files.append(file)
    return tuple(written)
