"""The formulas on numbers worked out by hand."""

import math

import numpy as np
import pytest

from pipeline.measure.parity import (
    Agreement,
    Parity,
    ParitySums,
    by_class,
    by_element,
    by_side,
    sqnr_db,
)


def parity(reference: object, answer: object, dtype: str = "float32") -> Parity:
    sums = ParitySums()
    ref, x = np.array(reference, dtype), np.array(answer, dtype)
    sums.update(ref, x, list(range(len(ref))))
    return sums.result()


def test_by_hand() -> None:
    # ref² = 9 + 16 = 25, noise = 0.25, x² = 9 + 20.25, ref·x = 9 + 18.
    found = parity([[3.0, 0.0], [0.0, 4.0]], [[3.0, 0.0], [0.0, 4.5]])
    assert found.max_abs == 0.5
    assert found.scale == 4.0
    assert found.max_rel == 0.125
    assert found.cosine == pytest.approx(27 / (5 * math.sqrt(29.25)), abs=1e-15)
    assert found.sqnr_db == pytest.approx(20.0, abs=1e-12)  # 10 log10(25 / 0.25)
    assert found.worst == ((1, 0.5),)


def test_exact_has_no_sqnr() -> None:
    assert parity([[1.0], [2.0]], [[1.0], [2.0]]) == Parity(0.0, 2.0, 0.0, 1.0, None, ())


def test_a_reference_of_zeros_has_no_scale() -> None:
    assert parity([[0.0]], [[0.5]]) == Parity(0.5, 0.0, None, 0.0, None, ((0, 0.5),))
    assert parity([[0.0]], [[0.0]]) == Parity(0.0, 0.0, 0.0, 1.0, None, ())


def test_opposite_and_orthogonal() -> None:
    assert parity([[1.0, 2.0]], [[-1.0, -2.0]]).cosine == -1.0
    assert parity([[1.0, 0.0]], [[0.0, 1.0]]).cosine == 0.0


def test_wrapping_types_are_subtracted_as_numbers() -> None:
    assert parity([[1], [255]], [[3], [255]], "uint8").max_abs == 2.0
    assert parity([[True]], [[False]], "bool").max_abs == 1.0


def test_large_values_do_not_overflow() -> None:
    found = parity([[3e38, 0.0]], [[3e38, 1e30]])
    assert found.sqnr_db == pytest.approx(20 * math.log10(float(np.float32(3e38)) / 1e30))
    assert found.cosine == pytest.approx(1.0)


def test_batches_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    ref = rng.normal(size=(50, 7)).astype(np.float32)
    x = ref + rng.normal(scale=0.01, size=ref.shape).astype(np.float32)
    whole, parts = ParitySums(), ParitySums()
    whole.update(ref, x, list(range(50)))
    for start in range(0, 50, 8):
        rows = list(range(start, min(50, start + 8)))
        parts.update(ref[rows], x[rows], rows)
    one, many = whole.result(), parts.result()
    assert (one.max_abs, one.scale, one.worst) == (many.max_abs, many.scale, many.worst)
    assert one.sqnr_db == pytest.approx(many.sqnr_db, rel=1e-12)
    assert len(one.worst) == 5
    errors = np.abs(ref.astype(float) - x).max(axis=1)
    assert [sample for sample, _ in one.worst] == np.argsort(-errors)[:5].tolist()


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    sums = ParitySums()
    sums.update(
        np.array([[1.0], [2.0], [np.inf], [3.0]]),
        np.array([[1.0], [np.nan], [1.0], [3.5]]),
        [10, 11, 12, 13],
    )
    assert (sums.not_finite, sums.ref_not_finite) == ([11], [12])
    assert sums.result().max_abs == 0.5
    nothing = ParitySums()
    nothing.update(np.array([[np.nan]]), np.array([[1.0]]), [0])
    assert nothing.result() == Parity(None, None, None, None, None, ())


def test_sqnr() -> None:
    assert sqnr_db(1000.0, 1.0) == pytest.approx(30.0)
    assert sqnr_db(1.0, 1000.0) == pytest.approx(-30.0)
    assert sqnr_db(1.0, 0.0) is None


def test_top1_and_near_ties() -> None:
    reference = np.array([[0.9, 0.1], [0.50001, 0.49999], [0.2, 0.8], [0.5, 0.5]])
    answer = np.array([[0.8, 0.2], [0.49999, 0.50001], [0.7, 0.3], [0.4, 0.6]])
    agreement = Agreement(by_class, tie=1e-4)
    agreement.update(reference, answer, [0, 1, 2, 3])
    assert agreement.top1 == 0.25  # as they fell
    assert agreement.judged == 0.75  # sample 1 and the exact tie of 3 are forgiven
    assert agreement.samples == [1, 2, 3]


def test_the_margin_is_to_the_class_that_was_taken() -> None:
    agreement = Agreement(by_class, tie=0.01)
    agreement.update(np.array([[0.500, 0.499, 0.001]]), np.array([[0.1, 0.2, 0.7]]), [0])
    assert agreement.judged == 0.0  # 0 and 1 are near, but class 2 was taken


def test_positions_each_decide() -> None:
    agreement = Agreement(by_class, tie=0.0)
    reference = np.zeros((2, 3, 2))
    reference[..., 0] = 1
    answer = reference.copy()
    answer[1, 2] = [0, 1]
    agreement.update(reference, answer, [4, 5])
    assert agreement.top1 == pytest.approx(5 / 6)
    assert agreement.samples == [5]


def test_single_scores_and_integers() -> None:
    side = Agreement(by_side(0.5), tie=0.01)
    side.update(np.array([[0.9], [0.505], [0.7]]), np.array([[0.6], [0.499], [0.2]]), [0, 1, 2])
    assert (side.top1, side.judged) == (pytest.approx(1 / 3), pytest.approx(2 / 3))  # type: ignore[comparison-overlap]
    equal = Agreement(by_element, tie=0.01)
    equal.update(np.array([3, 4]), np.array([3, 5]), [0, 1])
    assert (equal.top1, equal.judged, equal.samples) == (0.5, 0.5, [1])


def test_nothing_decided_is_no_agreement() -> None:
    assert Agreement(by_class, 0.0).top1 is None
    assert Agreement(by_class, 0.0).judged is None
