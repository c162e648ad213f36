"""What an input of the model may hold, as far as real samples show it.

Inputs that are made up (noise, zeros, the largest values) say something about an artifact only
where the model was made for such inputs: an id beyond its table, a mask that hides everything or a
box that ends before it begins make good models answer nonsense, and two kernels differ on it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from pipeline.config import Config, ValuesConfig
from pipeline.graph.array import Array
from pipeline.project.samples import Samples
from pipeline.project.values import reasons_outside, within

FEW = 8  # different values: what has no more of them is a mask or a choice, not a measurement
COLUMNS = 16  # of the last axis: those of a box or a range, not a spectrum
KEPT = 256  # rows, to draw from
ROWS = 32  # along the last axis: so many must show it before it is taken for a rule


@dataclass(frozen=True)
class Domain:
    """Of one input. `values`: the only ones that there are, where they are few. `never_filled`:
    those of them that no whole row (along the last axis) has. `whole`: floats without a fraction.
    `ordered`: columns (i, j) of the last axis, of which i is below j in every row. `rows` are
    some of the samples' own, [rows, last axis], None where these have several lengths. `columns`:
    the smallest and largest of each column, where integers count different things in each.
    `given` is what the configuration says; what the samples show is no matter then.
    """

    low: float
    high: float
    whole: bool = False
    values: tuple[float, ...] | None = None
    never_filled: tuple[float, ...] = ()
    ordered: tuple[tuple[int, int], ...] = ()
    columns: tuple[tuple[int, int], ...] = ()
    rows: Array | None = None
    given: ValuesConfig | None = None

    def drawn(self, like: Array, rng: np.random.Generator) -> Array | None:
        """Random numbers that are in it, of an array's shape and dtype: as the configuration says,
        or rows of the samples in another order; None where neither is known."""
        if self.given is not None:
            return within(self.given, like.dtype, like.shape, rng)
        shape = like.shape
        if not self.structured or self.rows is None or not shape or shape[-1] != self.rows.shape[1]:
            return None
        count = int(np.prod(shape[:-1]))
        chosen: Array = self.rows[rng.integers(0, len(self.rows), count)].reshape(shape)
        return chosen

    @property
    def structured(self) -> bool:
        """Whether numbers that are drawn one by one would leave what the samples show."""
        return bool(self.whole or self.values is not None or self.ordered or self.columns)

    def outside(self, array: Array) -> str | None:
        """The first reason why an array is not in it, as a sentence's end; None where it is."""
        return next(self._reasons(array), None) if array.size else None

    def _reasons(self, array: Array) -> Iterator[str]:
        if self.given is not None:
            yield from reasons_outside(self.given, array)
            return
        rows = _as_rows(array)
        if array.dtype.kind != "f" and (array.min() < self.low or array.max() > self.high):
            yield f"has values outside {self.low:g} to {self.high:g}"
        for number, (low, high) in enumerate(self.columns):
            if (rows[:, number] < low).any() or (rows[:, number] > high).any():
                yield f"has values outside {low} to {high} in column {number}"
        if array.dtype.kind == "f" and self.low >= 0 and (array < 0).any():
            yield "is negative in places"
        if self.whole and (array != np.round(array)).any():
            yield "has fractions"
        if self.values is not None and not np.isin(array, self.values).all():
            yield f"has other values than {', '.join(f'{value:g}' for value in self.values)}"
        for value in self.never_filled:
            if (rows == value).all(1).any():
                yield f"has a row of {value:g} alone"
        for first, second in self.ordered:
            if (rows[:, first] >= rows[:, second]).any():
                yield f"has column {second} not above column {first}"


UNKNOWN = Domain(-np.inf, np.inf)


def domains(config: Config, names: Sequence[str], samples: Samples) -> list[Domain]:
    """One for each input. Pixels may be anything, and so may what is made without real data."""
    known = []
    for name, column in zip(names, zip(*samples.inputs, strict=True), strict=True):
        one = config.input_named(name)
        if one.values is not None:
            known.append(replace(UNKNOWN, given=one.values))
        elif one.image or samples.synthetic:
            known.append(UNKNOWN)
        else:
            known.append(domain(column))
    return known


def outside(known: Sequence[Domain], names: Sequence[str], inputs: Sequence[Array]) -> str | None:
    """Why some input is not as samples show it: its name, and how it differs."""
    for one, name, array in zip(known, names, inputs, strict=True):
        why = one.outside(array)
        if why:
            return f"{name} {why}"
    return None


def domain(arrays: Sequence[Array]) -> Domain:
    """Of the arrays that samples have for one input, without a batch axis."""
    arrays = [array for array in arrays if array.size]
    if not arrays:
        return UNKNOWN
    if arrays[0].dtype.kind in "iu" and arrays[0].dtype.itemsize == 1:
        return UNKNOWN  # measurements of 8 bits, such as pixels
    low = float(min(array.min() for array in arrays))
    high = float(max(array.max() for array in arrays))
    whole = arrays[0].dtype.kind == "f" and all((a == np.round(a)).all() for a in arrays)
    lasts = {array.shape[-1] if array.ndim else 1 for array in arrays}
    one_length = len(lasts) == 1 and arrays[0].ndim > 0
    rows = np.concatenate([_as_rows(array) for array in arrays]) if one_length else None
    values = _few(arrays)
    return Domain(
        low,
        high,
        whole,
        values,
        _never_filled(arrays, values),
        _ordered(rows),
        _columns(rows),
        rows[:KEPT] if rows is not None else None,
    )


def _as_rows(array: Array) -> Array:
    """[rows, last axis]"""
    return array.reshape(-1, array.shape[-1] if array.ndim else 1)


def _few(arrays: Sequence[Array]) -> tuple[float, ...] | None:
    """Where there are few values, and each many times."""
    different: set[float] = set()
    for array in arrays:
        different.update(np.unique(array).tolist())
        if len(different) > FEW:
            return None
    if sum(array.size for array in arrays) < ROWS * len(different):
        return None
    return tuple(sorted(float(value) for value in different))


def _never_filled(arrays: Sequence[Array], values: tuple[float, ...] | None) -> tuple[float, ...]:
    """Of rows of several numbers; a column of one number is a choice, whose values all count."""
    if values is None or len(values) < 2:
        return ()
    left = set(values)
    count = 0
    for array in arrays:
        rows = _as_rows(array)
        if rows.shape[1] < 2:
            return ()
        count += len(rows)
        left -= {float(row[0]) for row in rows if (row == row[0]).all()}
    return tuple(sorted(left)) if count >= FEW else ()


def _columns(rows: Array | None) -> tuple[tuple[int, int], ...]:
    """Of a table of ids, whose vocabularies differ: of text every column has the same."""
    if rows is None or rows.dtype.kind not in "iu" or not 2 <= rows.shape[1] <= COLUMNS:
        return ()
    lows, highs = rows.min(0), rows.max(0)
    if highs.max() <= 2 * max(1, int(highs.min())):
        return ()
    return tuple(zip(lows.tolist(), highs.tolist(), strict=True))


def _ordered(rows: Array | None) -> tuple[tuple[int, int], ...]:
    if rows is None or len(rows) < ROWS or not 2 <= rows.shape[1] <= COLUMNS:
        return ()
    pairs = combinations(range(rows.shape[1]), 2)
    return tuple(
        pair
        for i, j in pairs
        for pair in ((i, j), (j, i))
        if (rows[:, pair[0]] < rows[:, pair[1]]).all()
    )
