"""How far a model's own answers move when it is computed a little otherwise.

Every runtime rounds, each in its own order. What that does to an answer is the model's condition: a
stable computation gives the exact answer to a slightly perturbed problem, and the answer's error is
that perturbation times the condition number (N. J. Higham, Accuracy and Stability of Numerical
Algorithms, 2nd edition, 2002, sections 1.5 and 1.6). So weights and inputs are moved by float32's
rounding, at random, and the whole is computed in float64 where the model can; the largest move of
an answer is what no runtime can be asked to beat. docs/parity.md has the rule.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pipeline.graph.array import Array
from pipeline.graph.wrap import Wrapped, flatten, prepared

ROUNDING = 2.0**-23
"""Relative: the distance of neighbouring float32 numbers at 1, twice the largest rounding."""
DRAWS = 3
FACTOR = 8.0
"""A difference of so many times the move is still the model's own: sums of n products may err by
more roundings than one, in practice by about sqrt(n) of them (Higham, section 4.2), and three draws
do not find the largest move."""


@dataclass
class Conditioning:
    """Of one model, which is made when it is first asked. Moves are kept by `key`."""

    make: Callable[[], Wrapped]
    _model: Wrapped | None = None
    _moves: dict[str, list[Array] | None] = field(default_factory=dict)

    def moves(self, key: str, inputs: Sequence[Array]) -> list[Array] | None:
        """By output, float64 of its shape: how far each number moves. None where the model raises,
        or answers in another shape when it is perturbed."""
        if key not in self._moves:
            self._moves[key] = self._measured(inputs)
        return self._moves[key]

    def _measured(self, inputs: Sequence[Array]) -> list[Array] | None:
        if self._model is None:
            self._model = self.make()
        try:
            return _moves(self._model, [torch.from_numpy(array.copy()) for array in inputs])
        except Exception:  # the user's model, on what nobody promised that it takes
            return None


def _moves(model: Wrapped, given: Sequence[Tensor]) -> list[Array] | None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        inputs = prepared(model.images, given)
        exact = _answers(model, inputs)
        others = []
        for _ in range(DRAWS):
            moved = tuple(_perturbed(tensor, generator) for tensor in inputs)
            with _weights(model, lambda weight: _perturbed(weight, generator)):
                others.append(_answers(model, moved))
    in_double = _in_float64(model, inputs)
    if in_double is not None:
        others.append(in_double)
    if any(_shapes(other) != _shapes(exact) for other in others):
        return None
    return [
        np.max([np.abs(other[index] - answer) for other in others], axis=0)
        for index, answer in enumerate(exact)
    ]


def _answers(model: Wrapped, inputs: Sequence[Tensor]) -> list[Array]:
    answers = flatten(model.answer(*(tensor.clone() for tensor in inputs)))
    return [tensor.detach().double().numpy() for tensor in answers]


def _in_float64(model: Wrapped, inputs: Sequence[Tensor]) -> list[Array] | None:
    """Many models name float32 somewhere in their forward, and cannot."""
    wide = tuple(t.double() if t.dtype == torch.float32 else t for t in inputs)
    try:
        with torch.no_grad(), _weights(model, lambda weight: weight.double()):
            return _answers(model, wide)
    except Exception:  # whatever the user's code says of it
        return None


@contextmanager
def _weights(model: Wrapped, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Other parameters and buffers of floating point for a while."""
    tensors = [*model.model.parameters(), *model.model.buffers()]
    before = [(tensor, tensor.data) for tensor in tensors if tensor.is_floating_point()]
    try:
        for tensor, data in before:
            tensor.data = change(data)
        yield
    finally:
        for tensor, data in before:
            tensor.data = data


def _perturbed(tensor: Tensor, generator: torch.Generator) -> Tensor:
    if tensor.dtype != torch.float32:
        return tensor
    signs = torch.randint(0, 2, tensor.shape, generator=generator, dtype=torch.float32) * 2 - 1
    return tensor * (1 + ROUNDING * signs)


def _shapes(answers: Sequence[Array]) -> list[tuple[int, ...]]:
    return [answer.shape for answer in answers]
