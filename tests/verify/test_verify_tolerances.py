from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Config
from pipeline.measure.accuracy_budget import DROP, DROP_PART, accuracy_budget
from pipeline.quantize.candidates import PRECISIONS
from pipeline.verify.tolerances import DEFAULTS, Judged, bounds, edge_bound

PLAIN = Config.model_validate({"model": {"onnx": "m.onnx"}})
STRICT = Config.model_validate(
    {
        "model": {"onnx": "m.onnx"},
        "verify": {
            "tolerances": {"fp32": {"max_abs": 1e-6}, "int8": {"max_drop": 0.5, "max_abs": 3.0}}
        },
    }
)


def test_fp32_follows_the_magnitude_from_one_upwards() -> None:
    assert bounds(PLAIN, "fp32", Judged(0.01)).max_abs == 1e-4
    assert bounds(PLAIN, "fp32", Judged(1.0)).max_abs == 1e-4
    assert bounds(PLAIN, "fp32", Judged(500.0)).max_abs == pytest.approx(0.05)


def test_configured_bounds_replace_single_ones() -> None:
    found = bounds(STRICT, "fp32", Judged(500.0))
    assert found.max_abs == 1e-6
    assert found.min_sqnr_db == DEFAULTS["fp32"].min_sqnr_db
    assert bounds(STRICT, "int8", Judged(1.0, metric=("max", 0.9))).max_drop == 0.5


def test_precisions_grow_looser() -> None:
    judged = Judged(1.0, classes=True, metric=("max", 0.98))
    fp16, int8 = (bounds(PLAIN, precision, judged) for precision in ("fp16", "int8"))
    assert fp16.max_abs == 1e-2
    assert int8.max_abs is None
    assert (int8.max_drop, int8.min_top1) == (0.01, 0.9)
    assert fp16.min_sqnr_db > int8.min_sqnr_db


def test_the_drop_of_an_error_is_in_parts_of_it() -> None:
    assert bounds(PLAIN, "int8", Judged(9.0, metric=("min", 40.0))).max_drop == pytest.approx(2.0)
    assert bounds(PLAIN, "int8", Judged(9.0, metric=("max", 30.0))).max_drop == pytest.approx(0.3)
    assert bounds(PLAIN, "fp32", Judged(9.0, metric=("max", 0.9))).max_drop is None
    assert bounds(STRICT, "int8", Judged(9.0)).max_drop is None  # no metric, nothing to drop


def test_only_what_decides_has_a_top1() -> None:
    assert bounds(PLAIN, "fp32", Judged(1.0)).min_top1 is None
    assert bounds(PLAIN, "fp32", Judged(1.0, classes=True)).min_top1 == 1.0
    assert bounds(PLAIN, "int8", Judged(1.0, classes=True, synthetic=True)).min_top1 is None
    assert bounds(PLAIN, "fp32", Judged(1.0, classes=True, synthetic=True)).min_top1 == 1.0


def test_integers_are_compared_by_equality() -> None:
    found = bounds(PLAIN, "fp32", Judged(1e9, discrete=True))
    assert (found.max_abs, found.max_rel, found.min_sqnr_db, found.min_top1) == (
        None, None, None, 0.999,
    )  # fmt: skip


def test_zeros_stay_zeros_at_any_precision() -> None:
    assert bounds(PLAIN, "int8", Judged(0.0)).max_abs == 1e-4


def test_a_tie_is_twice_what_fp32_may_move() -> None:
    for precision in DEFAULTS:
        assert bounds(PLAIN, precision, Judged(1.0, classes=True)).tie == 2e-4
        assert bounds(STRICT, precision, Judged(1.0, classes=True)).tie == 2e-6
        assert bounds(PLAIN, precision, Judged(1.0)).tie is None


def test_edges() -> None:
    assert edge_bound(PLAIN, "fp32", Judged(50.0), 1.0, 1e-6) == pytest.approx(5e-3)
    assert edge_bound(STRICT, "fp32", Judged(50.0), 1.0, None) == 1e-6
    # int8: real samples are bound to what was measured on them, others to known magnitudes.
    assert edge_bound(PLAIN, "int8", Judged(2.0), 4.0, 0.3) == pytest.approx(0.6)
    assert edge_bound(PLAIN, "int8", Judged(2.0), 4.0, 0.1) == pytest.approx(0.4)
    assert edge_bound(PLAIN, "int8", Judged(2.0), 4.0, None) == pytest.approx(6.0)
    assert edge_bound(PLAIN, "fp32", Judged(2.0, discrete=True), 4.0, None) is None


def test_one_budget_for_the_gate_and_the_verdict() -> None:
    """A drop that quantize lets through is none that verify fails, and the other way round."""
    accuracy = Judged(1.0, classes=True, metric=("max", 0.9))
    given: dict[str, Any] = {"model": {"onnx": "m.onnx"}, "quantize": {"max_drop": 0.05}}
    config = Config.model_validate(given)
    for precision in PRECISIONS:
        assert bounds(config, precision, accuracy).max_drop == 0.05
        assert accuracy_budget(config, precision, "max", 0.9).max_drop == 0.05
    assert bounds(config, "fp32", accuracy).max_drop is None
    for precision in PRECISIONS:  # a particular tolerance counts for both
        own = given | {"verify": {"tolerances": {precision: {"max_drop": 0.2}}}}
        config = Config.model_validate(own)
        assert bounds(config, precision, accuracy).max_drop == 0.2
        assert accuracy_budget(config, precision, "max", 0.9).max_drop == 0.2


def test_the_documented_table_is_the_one_that_judges() -> None:
    page = Path(__file__).parents[2] / "docs" / "parity.md"
    rows = [
        [cell.strip() for cell in line.strip("|\n ").split("|")]
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith(("| fp32 |", "| fp16 |", "| int8 |", "| int4 |"))
    ]
    found = {row[0]: [None if cell == "–" else float(cell) for cell in row[1:]] for row in rows}
    assert found == {name: list(vars(default).values()) for name, default in DEFAULTS.items()}
    assert (
        f"else {DROP} of a metric" in page.read_text() and f"and {DROP_PART} of" in page.read_text()
    )
