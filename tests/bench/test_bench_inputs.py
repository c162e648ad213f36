from pathlib import Path

import numpy as np

from pipeline.bench.inputs import batches_of, load, save
from pipeline.project.samples import Samples


def test_they_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [(np.full((2, n), n, np.uint8), np.array(n % 2 == 0)) for n in range(1, 13)]
    save(Samples(None, False, list(rows), None), tmp_path / "x.npz")
    found = load(tmp_path / "x.npz")
    assert len(found) == 12
    for row, back in zip(rows, found, strict=True):
        assert [array.dtype for array in row] == [array.dtype for array in back]
        assert all(map(np.array_equal, row, back))


def test_singles_are_of_every_shape() -> None:
    rows = [(np.zeros((n, 2)),) for n in (3, 4, 3)]
    assert [batch[0].shape for batch in batches_of(rows, 1)] == [(1, 3, 2), (1, 4, 2), (1, 3, 2)]  # type: ignore[arg-type]


def test_batches_hold_every_sample_of_the_commonest_shape() -> None:
    rows = [(np.array([n]),) for n in range(5)] + [(np.array([9, 9]),)]
    found = [batch[0].ravel().tolist() for batch in batches_of(rows, 3)]  # type: ignore[arg-type]
    assert found == [[0, 1, 2], [3, 4, 0]]
    assert batches_of(rows[:1], 4)[0][0].shape == (4, 1)  # type: ignore[arg-type]
