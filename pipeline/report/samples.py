"""The samples that artifacts disagree on, and which classes are confused."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.workspace.results.verdict import VerdictRow

Array = NDArray[Any]
LARGEST = 160  # pixels of a picture's longer side; larger ones are scaled down
SHOWN = 24
PAIRS = 10


def confusion(target: Array, answered: Array, classes: int) -> Array:
    """Counts [true, answered], int64; answers of −1 are none."""
    matrix = np.zeros((classes, classes), np.int64)
    known = answered >= 0
    np.add.at(matrix, (target[known], answered[known]), 1)
    return matrix


def confused(matrix: Array, labels: Sequence[str]) -> list[tuple[str, str, int]]:
    """(true, answered, how often) of the pairs that are mistaken most."""
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(wrong, axis=None)[::-1][:PAIRS]
    pairs = [np.unravel_index(flat, wrong.shape) for flat in order]
    return [(labels[i], labels[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j]]


def disagreements(
    samples: Mapping[str, Array],
    pictures: Mapping[int, Array],
    rows: Sequence[VerdictRow],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """Samples on which a row's class is not the reference's, those first on which most rows differ:
    `{number, picture, true, reference, rows: [{name, answer, score}]}`."""
    if "row_class" not in samples:
        return []
    reference, classes = samples["reference_class"], samples["row_class"]
    differ = (classes != reference) & (classes >= 0)
    votes = differ.sum(axis=0)
    order = sorted(np.flatnonzero(votes), key=lambda number: (-votes[number], number))[:SHOWN]
    return [
        {
            "number": int(number),
            "picture": data_uri(pictures[int(number)]) if int(number) in pictures else None,
            "true": _label(labels, samples["target"][number]) if "target" in samples else None,
            "reference": _label(labels, reference[number]),
            "reference_score": float(samples["reference_score"][number]),
            "rows": [
                {
                    "name": f"{rows[row].artifact} · {rows[row].where}",
                    "answer": _label(labels, classes[row, number]),
                    "score": float(samples["row_score"][row, number]),
                }
                for row in np.flatnonzero(differ[:, number]).tolist()
            ],
        }
        for number in order
    ]


def data_uri(picture: Array) -> str:
    """A uint8 picture [height, width, channels] as a PNG inside the page."""
    from PIL import Image

    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    image.thumbnail((LARGEST, LARGEST))
    raw = io.BytesIO()
    image.save(raw, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(raw.getvalue()).decode("ascii")


def _label(labels: Sequence[str], index: Any) -> str:
    return labels[int(index)] if int(index) < len(labels) else str(int(index))
