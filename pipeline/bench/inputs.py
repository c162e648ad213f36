"""Real samples for the workers: written once, read by each, taken in turns."""

from collections import Counter
from pathlib import Path

import numpy as np

from pipeline.graph.array import Array, Row
from pipeline.graph.signature import Signature
from pipeline.project.samples import Samples

SAMPLES = 64  # different inputs at least, so that no cache knows the answer


def save(samples: Samples, path: Path) -> None:
    """One array for each sample and input, `SAMPLE.INPUT`."""
    arrays = {
        f"{index}.{position}": array
        for index, row in enumerate(samples.inputs)
        for position, array in enumerate(row)
    }
    np.savez(path, **arrays)  # type: ignore[arg-type]


def load(path: Path) -> list[Row]:
    rows: dict[int, dict[int, Array]] = {}
    with np.load(path) as file:
        for key in file.files:
            index, position = map(int, key.split("."))
            rows.setdefault(index, {})[position] = file[key]
    return [tuple(rows[i][p] for p in sorted(rows[i])) for i in sorted(rows)]


def batches_of(signature: Signature, rows: list[Row], size: int) -> list[list[Array]]:
    """Batches that hold every sample at least once, each of samples that may share a call.

    One at a time all shapes have their turn; larger batches are of the commonest shape, and repeat
    samples where there are too few.
    """
    if size == 1:
        return [signature.batched([row]) for row in rows]
    shapes = [tuple(array.shape for array in row) for row in rows]
    commonest = Counter(shapes).most_common(1)[0][0]
    first = rows[shapes.index(commonest)]
    alike = [row for row in rows if signature.may_share(first, row)]
    count = -(-len(alike) // size)
    return [
        signature.batched([alike[(number * size + at) % len(alike)] for at in range(size)])
        for number in range(count)
    ]
