"""Numbers of a kind that `[inputs.NAME] values` describes."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipeline.config import ValuesConfig
from pipeline.graph.array import Array

WIDE = 1.0  # of floats without an end on one side: how far they reach from the other


def within(
    values: ValuesConfig, dtype: np.dtype[Any], shape: Sequence[int], rng: np.random.Generator
) -> Array:
    """Random numbers of a dtype and shape that an input may hold."""
    if values.one_of:
        drawn = rng.choice(np.array(values.one_of), tuple(shape))
    else:
        low, high = ends(values)
        whole = values.integers or dtype.kind != "f"
        drawn = (
            rng.integers(int(low), int(high), tuple(shape), endpoint=True)
            if whole
            else rng.uniform(low, high, tuple(shape))
        )
    if values.sorted and shape:
        drawn = np.sort(drawn, -1)
    return np.asarray(drawn).astype(dtype)


def ends(values: ValuesConfig) -> tuple[float, float]:
    """Both, where perhaps one is said."""
    low, high = values.min, values.max
    if low is None:
        low = -WIDE if high is None else min(-WIDE, high - WIDE)
    if high is None:
        high = max(WIDE, low + WIDE)
    return low, high


def reasons_outside(values: ValuesConfig, array: Array) -> Iterator[str]:
    """Why an array is nothing that the input may hold, each as a sentence's end."""
    if values.min is not None and (array < values.min).any():
        yield f"has values below {values.min:g}"
    if values.max is not None and (array > values.max).any():
        yield f"has values above {values.max:g}"
    if values.integers and (array != np.round(array)).any():
        yield "has fractions"
    if values.one_of and not np.isin(array, np.array(values.one_of, array.dtype)).all():
        yield f"has other values than {', '.join(f'{value:g}' for value in values.one_of)}"
    if values.sorted and array.ndim and (array[..., 1:] < array[..., :-1]).any():
        yield "is not sorted"
