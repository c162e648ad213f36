"""What samples show of an input, and which made-up inputs are not like them."""

import numpy as np
import pytest

from pipeline.config import Config, ValuesConfig
from pipeline.graph.array import Array
from pipeline.project.domain import UNKNOWN, Domain, domain, domains
from pipeline.project.samples import Samples

MODEL: dict[str, object] = {"model": {"entry": "model.py:build_model"}}
RNG = np.random.default_rng(0)


def padding_masks(count: int = 64, length: int = 12) -> list[np.ndarray]:
    return [
        (np.arange(length) < RNG.integers(1, length + 1)).astype(np.int64) for _ in range(count)
    ]


def boxes(count: int = 16) -> list[np.ndarray]:
    corner, size = RNG.uniform(0, 50, (count, 8, 2)), RNG.uniform(1, 50, (count, 8, 2))
    return [*np.concatenate([corner, corner + size], 2).astype(np.float32)]


def test_a_mask_that_hides_everything_is_no_mask() -> None:
    known = domain(padding_masks())
    assert known.values == (0, 1)
    assert known.outside(np.zeros((2, 12), np.int64)) == "has a row of 0 alone"
    assert known.outside(np.ones((2, 12), np.int64)) is None  # a sentence that fills its row
    assert known.outside(np.full((2, 12), 2)) == "has values outside 0 to 1"


def test_a_mask_of_floats() -> None:
    least = float(np.finfo(np.float32).min)
    known = domain([np.where(mask == 1, 0, least).astype(np.float32) for mask in padding_masks()])
    assert known.outside(np.full((1, 12), least, np.float32)) == f"has a row of {least:g} alone"
    assert str(known.outside(np.full((1, 12), -1, np.float32))).startswith("has other values")


def test_a_box_begins_before_it_ends() -> None:
    given = boxes()
    known = domain(given)
    assert {(0, 2), (1, 3)} <= set(known.ordered)
    assert known.outside(given[0] * 10) is None
    assert known.outside(-given[0]) == "is negative in places"
    assert "not above column" in str(known.outside(np.zeros_like(given[0])))
    drawn = known.drawn(np.zeros((2, 8, 4), np.float32), np.random.default_rng(1))
    assert drawn is not None and known.outside(drawn) is None


def test_ids_of_several_tables_have_a_range_each() -> None:
    ids = RNG.integers(0, (4, 50, 1000), (300, 3))
    known = domain([*ids])
    assert known.columns == tuple((0, int(high)) for high in ids.max(0))
    assert known.outside(np.array([[3, 49, 2]])) is None
    assert known.outside(np.array([[4, 1, 1]])) == "has values outside 0 to 3 in column 0"


def test_a_measurement_may_be_anything_of_its_sign() -> None:
    signed = domain([*RNG.normal(size=(64, 5)).astype(np.float32)])
    assert signed.outside(np.full((1, 5), -1e6, np.float32)) is None
    assert not signed.structured
    power = domain([*RNG.exponential(size=(64, 5)).astype(np.float32)])
    assert power.outside(np.full((1, 5), 1e6, np.float32)) is None
    assert power.outside(np.full((1, 5), -1e-6, np.float32)) == "is negative in places"
    counts = domain([*RNG.poisson(9, (64, 5)).astype(np.float32)])
    assert counts.outside(np.full((1, 5), 0.5, np.float32)) == "has fractions"


def test_nothing_is_known_of_pixels_and_of_noise() -> None:
    pictures: list[tuple[Array, ...]] = [(np.zeros((4, 4, 3), np.uint8),)] * 64
    image = Config.model_validate(MODEL | {"input": {"kind": "image"}})
    known = domains(image, ["image"], Samples(None, False, pictures, [np.array(0)] * 64))
    assert known == [UNKNOWN]
    noise: list[tuple[Array, ...]] = [(np.zeros(4, np.float32),)] * 64
    assert domains(Config.model_validate(MODEL), ["x"], Samples(None, False, noise, None)) == [
        UNKNOWN
    ]


def test_what_the_configuration_says_of_values_is_their_domain() -> None:
    values = {"min": 0, "max": 9, "integers": True}
    tables = {"ids": {"shape": ["batch", "n"], "dtype": "int64", "values": values}}
    config = Config.model_validate(MODEL | {"inputs": tables})
    rows: list[tuple[Array, ...]] = [(np.array([3, 4]),)] * 64
    (known,) = domains(config, ["ids"], Samples(("ids",), False, rows, None))
    assert known.outside(np.array([[0, 9]])) is None
    assert known.outside(np.array([[0, 10]])) == "has values above 9"
    assert known.outside(np.array([[-1, 9]])) == "has values below 0"
    drawn = known.drawn(np.zeros((50, 7), np.int64), np.random.default_rng(1))
    assert drawn is not None and drawn.dtype == np.int64
    assert set(drawn.ravel().tolist()) == set(range(10))


@pytest.mark.parametrize(
    "values, inside, outside, why",
    [
        ({"sorted": True}, [[0.0, 1.0, 1.0]], [[0.0, 1.0, 0.5]], "is not sorted"),
        ({"one_of": [0, 1]}, [[0.0, 1.0]], [[0.5, 1.0]], "has other values than 0, 1"),
        ({"integers": True}, [[2.0]], [[2.5]], "has fractions"),
    ],
)
def test_each_kind_of_values_is_kept(
    values: dict[str, object], inside: list[object], outside: list[object], why: str
) -> None:
    given = ValuesConfig.model_validate(values)
    known = Domain(-np.inf, np.inf, given=given)
    assert known.outside(np.array(inside)) is None
    assert known.outside(np.array(outside)) == why
    drawn = known.drawn(np.zeros((4, 9), np.float32), np.random.default_rng(1))
    assert drawn is not None and known.outside(drawn) is None
