from pathlib import Path

import numpy as np

from pipeline.bench.inputs import batches_of, load, save
from pipeline.graph.array import Array
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.project.samples import Samples

ANY = Signature((TensorSpec("x", "float32", (None, None, None)),), ())


def test_they_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [(np.full((2, n), n, np.uint8), np.array(n % 2 == 0)) for n in range(1, 13)]
    save(Samples(None, False, list(rows), None), tmp_path / "x.npz")
    found = load(tmp_path / "x.npz")
    assert len(found) == 12
    for row, back in zip(rows, found, strict=True):
        assert [array.dtype for array in row] == [array.dtype for array in back]
        assert all(map(np.array_equal, row, back))


def test_singles_are_of_every_shape() -> None:
    rows: list[tuple[Array, ...]] = [(np.zeros((n, 2)),) for n in (3, 4, 3)]
    shapes = [batch[0].shape for batch in batches_of(ANY, rows, 1)]
    assert shapes == [(1, 3, 2), (1, 4, 2), (1, 3, 2)]


def test_batches_hold_every_sample_of_the_commonest_shape() -> None:
    rows: list[tuple[Array, ...]] = [(np.array([n]),) for n in range(5)]
    rows.append((np.array([9, 9]),))
    found = [batch[0].ravel().tolist() for batch in batches_of(ANY, rows, 3)]
    assert found == [[0, 1, 2], [3, 4, 0]]
    assert batches_of(ANY, rows[:1], 4)[0][0].shape == (4, 1)


def test_batches_have_one_of_what_they_share() -> None:
    shared = TensorSpec("anchors", "float32", (None,), batch_axis=None)
    signature = Signature((TensorSpec("x", "float32", (2, None), batch_axis=1), shared), ())
    rows: list[tuple[Array, ...]] = [(np.array([n, -n]), np.array([n % 2])) for n in range(1, 6)]
    (x, anchors), *others = batches_of(signature, rows, 3)
    assert x.tolist() == [[1, 3, 5], [-1, -3, -5]] and anchors.tolist() == [1]
    assert not others
