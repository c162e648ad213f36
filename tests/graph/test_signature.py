"""Which axis counts samples: stacking, taking apart, and what may share a call."""

import numpy as np
import pytest

from pipeline.errors import DamagedError
from pipeline.graph.array import Row
from pipeline.graph.signature import Signature, TensorSpec

FIRST = TensorSpec("x", "float32", (None, 3))
SECOND = TensorSpec("state", "float32", (2, None, 4), batch_axis=1)
SHARED = TensorSpec("rate", "int64", (), batch_axis=None)
MIXED = Signature((FIRST, SECOND, SHARED), (SECOND,))


def row(number: int, rate: int = 8) -> Row:
    state = np.full((2, 4), number, np.float32)
    return np.full(3, number, np.float32), state, np.array(rate)


def test_samples_are_stacked_where_each_input_counts_them() -> None:
    x, state, rate = MIXED.batched([row(0), row(1), row(2)])
    assert (x.shape, state.shape, rate.shape) == ((3, 3), (2, 3, 4), ())
    assert state[:, 2].tolist() == [[2.0] * 4] * 2
    assert MIXED.samples_of([x, state, rate]) == 3
    part = MIXED.part([x, state, rate], 1, 9)
    assert [array.shape for array in part] == [(2, 3), (2, 2, 4), ()]
    assert part[1][0, 0, 0] == 1
    assert SECOND.rows(state, 2).shape == (2, 2, 4)
    assert SECOND.rows(state, 2)[1].tolist() == [[1.0] * 4] * 2
    assert SHARED.rows(np.array(5), 2).tolist() == [5]


def test_what_no_axis_counts_is_shared_or_the_batch_ends() -> None:
    rows = [row(0), row(1), row(2, 16), row(3, 16), row(4, 16)]
    groups = [[int(r[0][0]) for r in group] for group in MIXED.grouped(rows, 2)]
    assert groups == [[0, 1], [2, 3], [4]]


def test_without_any_batch_axis_a_call_takes_one_sample() -> None:
    alone = Signature((SHARED,), (SHARED,))
    assert alone.fixed_batch == 1
    assert alone.batch_size(32) == 1
    (given,) = alone.batched([(np.array(7),)])
    assert given.shape == () and alone.samples_of([given]) == 1


def test_an_output_that_says_not_whose_row_is_which_is_asked_one_by_one() -> None:
    boxes = TensorSpec("boxes", "float32", (None, 4), batch_axis=None)
    assert Signature((FIRST,), (boxes, FIRST)).batch_size(32) == 1
    assert Signature((FIRST,), (FIRST, boxes)).batch_size(32) == 32


def test_a_fixed_batch_is_filled_with_its_last_sample() -> None:
    fixed = Signature((TensorSpec("x", "float32", (3, 4), batch_axis=1),), ())
    assert fixed.fixed_batch == 4
    (given,) = fixed.batched([(np.zeros(3),), (np.ones(3),)])
    assert given[0].tolist() == [0, 1, 1, 1]


def test_json_keeps_it_and_knows_files_of_before() -> None:
    assert Signature.from_json(MIXED.to_json()) == MIXED
    old = FIRST.to_json()
    del old["batch_axis"]
    assert TensorSpec.from_json(old) == FIRST
    with pytest.raises(DamagedError, match="has no axis 2"):
        TensorSpec.from_json({**FIRST.to_json(), "batch_axis": 2})
