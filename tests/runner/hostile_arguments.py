"""Arguments that no model would give: for operators of torch, by their schemas."""

import math
import random
from collections.abc import Callable
from typing import Any

import torch

SHAPES: list[list[int]] = [
    [], [0], [1], [3], [5], [0, 3], [3, 0], [2, 3], [4, 4], [1, 4], [0, 0, 0], [2, 0, 4],
    [2, 3, 4], [3, 4, 4], [1, 2, 3, 4], [2, 4, 4, 4], [2, 0, 4, 4], [2, 3, 0, 0], [0, 3, 4, 4],
    [1, 2, 3, 4, 4], [2, 3, 0, 4, 4], [1, 1, 1, 1, 1, 1],
]  # fmt: skip
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
OTHERS = [torch.int64, torch.int32, torch.uint8, torch.int8, torch.bool, torch.complex64]
QUANTIZED = [torch.quint8, torch.qint8, torch.qint32]
SMALL = [0, 1, 2, 3, 4, -1, -2]
LARGE = [7, 100, -100, 2**31, -(2**31), 2**40, 2**62, -(2**62), 2**63 - 1, -(2**63)]
NUMBERS = [0.0, 1.0, -1.0, 0.5, 1e-5, 1e300, math.nan, math.inf, -math.inf]
STRINGS = ["", "x", "mean", "sum", "none", "reflect", "constant", "floor", "linear", "ij", "tanh"]
# Enumerations are ints in TorchScript. The runner refuses other values than these before they reach
# an operator.
CODES = {"dtype": range(29), "layout": [0], "memory_format": range(4)}


class Hostile:
    """Draws arguments. The same seed draws the same."""

    def __init__(self, seed: str, namespace: str) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(self.random.getrandbits(32))
        self.quantized = 0.5 if "quantized" in namespace else 0.04
        self.shape = list(self.pick(SHAPES))
        self.dtype = self.pick(FLOATS[:2] if self.random.random() < 0.7 else OTHERS)

    def pick(self, values: Any) -> Any:
        return self.random.choice(values)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def size(self) -> int:
        return int(self.pick(SMALL) if self.chance(0.8) else self.pick(LARGE))

    def some_shape(self) -> list[int]:
        """The one that all tensors of these arguments tend to, or a relative of it, or another."""
        shape = list(self.shape)
        way = self.random.random()
        if way < 0.45:
            return shape
        if way < 0.6 and shape:
            shape[self.random.randrange(len(shape))] = self.pick([0, 1, 2, 3, 5])
            return shape
        if way < 0.75:
            return shape[self.random.randrange(len(shape) + 1) :]
        if way < 0.85 and shape:
            return [self.pick(shape)]
        return list(self.pick(SHAPES))

    def tensor(self, name: str = "", shape: list[int] | None = None) -> torch.Tensor:
        shape = self.some_shape() if shape is None else shape
        dtype = self.dtype if self.chance(0.8) else self.pick(FLOATS + OTHERS)
        if any(part in name for part in ("ind", "target", "offsets", "length", "sizes", "bins")):
            dtype = torch.int64 if self.chance(0.85) else dtype
        if self.chance(0.03):
            return torch.empty(shape, dtype=dtype, device="meta")
        if self.chance(self.quantized):
            return self._quantized(shape)
        value = self._filled(shape, dtype)
        if value.dim() > 1 and self.chance(0.1):
            value = value.transpose(0, -1)
        if self.chance(0.05):
            value = value.unsqueeze(0).expand([2, *value.shape])
        return value

    def _filled(self, shape: list[int], dtype: torch.dtype) -> torch.Tensor:
        if dtype.is_floating_point or dtype.is_complex:
            value = torch.randn(shape, generator=self.generator, dtype=torch.float64).to(dtype)
            return value * self.pick([1, 1, 1, 0, 1e30, math.nan])
        low, high = self.pick([(0, 2), (0, 4), (-3, 3), (0, 127), (-(2**62), 2**62)])
        return torch.randint(low, high, shape, generator=self.generator).to(dtype)

    def _quantized(self, shape: list[int]) -> torch.Tensor:
        value = torch.randn(shape, generator=self.generator)
        if shape and shape[0] and self.chance(0.25):
            scales = torch.ones(shape[0], dtype=torch.float64)
            zeros = torch.zeros(shape[0], dtype=torch.int64)
            return torch.quantize_per_channel(value, scales, zeros, 0, torch.qint8)
        scale = self.pick([0.1, 0.1, 1e-30, 1e30])
        return torch.quantize_per_tensor(value, scale, 0, self.pick(QUANTIZED))

    def argument(self, argument: Any) -> Any:
        is_dtype = "ScalarType" in str(argument.real_type)
        return self.of_type(argument.type, "dtype" if is_dtype else argument.name)

    def of_type(self, type_: Any, name: str = "") -> Any:
        kind = type_.kind()
        if kind == "OptionalType":
            return None if self.chance(0.4) else self.of_type(type_.getElementType(), name)
        if kind == "ListType":
            if self.chance(0.03):
                return []
            return [
                self.of_type(type_.getElementType(), name)
                for _ in range(self.pick([0, 1, 1, 2, 2, 3, 4, 6]))
            ]
        if kind == "DictType":
            return {self.pick(STRINGS): self.size() for _ in range(self.size() % 3)}
        if kind == "TupleType":
            return tuple(self.of_type(part, name) for part in type_.elements())
        drawn = _DRAWN.get(kind)
        return drawn(self, name) if drawn else self.packed(str(type_))

    def packed(self, type_: str) -> Any:
        """What torch packed for its int8 kernels, where the type is such a class."""
        ops = torch.ops.quantized
        if "Linear" in type_:
            weight = self._per_tensor([self.pick([1, 3, 4]), self.pick([1, 3, 4])])
            return ops.linear_prepack(weight, self.pick([None, torch.zeros(weight.shape[0])]))
        if "Embedding" in type_:
            scales, zeros = torch.ones(4), torch.zeros(4)
            table = torch.quantize_per_channel(torch.randn(4, 8), scales, zeros, 0, torch.quint8)
            return ops.embedding_bag_prepack(table)
        axes = 2 if "Conv2d" in type_ else 3
        if f"Conv{axes}d" not in type_:
            return None
        weight = self._per_tensor([4, self.pick([1, 2, 4]), *[self.pick([1, 2, 3])] * axes])
        prepack = ops.conv2d_prepack if axes == 2 else ops.conv3d_prepack
        ones = [1] * axes
        return prepack(weight, torch.zeros(4), ones, [self.pick([0, 1])] * axes, ones, 1)

    def _per_tensor(self, shape: list[int]) -> torch.Tensor:
        return torch.quantize_per_tensor(torch.randn(shape), 0.1, 0, torch.qint8)

    def mutated(self, value: Any) -> Any:
        """A valid argument, made another of its kind."""
        if isinstance(value, torch.Tensor):
            return self._mutated_tensor(value)
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return self.size()
        if isinstance(value, float):
            return self.pick(NUMBERS)
        return self._mutated_list(value) if isinstance(value, list | tuple) and value else value

    def _mutated_list(self, value: Any) -> list[Any]:
        changed = list(value)
        if self.chance(0.2):
            return changed[:-1] if self.chance(0.5) else [*changed, changed[-1]]
        at = self.random.randrange(len(changed))
        changed[at] = self.mutated(changed[at])
        return changed

    def _mutated_tensor(self, value: torch.Tensor) -> torch.Tensor:
        shape, dtype = list(value.shape), value.dtype
        way = self.random.random()
        if way < 0.2 and shape:
            shape[self.random.randrange(len(shape))] = 0
        elif way < 0.5 and shape:
            shape[self.random.randrange(len(shape))] = self.pick([1, 2, 3, 5, 17])
        elif way < 0.6:
            shape = shape[1:] if self.chance(0.5) else [1, *shape]
        elif way < 0.7:
            shape = self.some_shape()
        elif way < 0.75:
            return torch.empty(shape, dtype=dtype, device="meta")
        elif way < 0.85:
            dtype = self.pick(FLOATS + OTHERS)
        return self._filled(shape, dtype)


_DRAWN: dict[str, Callable[[Hostile, str], Any]] = {
    "TensorType": lambda draw, name: draw.tensor(name),
    "IntType": lambda draw, name: draw.pick(CODES[name]) if name in CODES else draw.size(),
    "SymIntType": lambda draw, _: draw.size(),
    "FloatType": lambda draw, _: draw.pick(NUMBERS),
    "BoolType": lambda draw, _: draw.chance(0.5),
    "NumberType": lambda draw, _: draw.pick([draw.size(), draw.pick(NUMBERS), 1j, True]),
    "ComplexType": lambda draw, _: complex(draw.pick(NUMBERS), draw.pick(NUMBERS)),
    "StringType": lambda draw, _: draw.pick(STRINGS),
    "DeviceObjType": lambda draw, _: torch.device(draw.pick(["cpu", "cpu", "meta"])),
    "GeneratorType": lambda _draw, _name: None,
    "AnyType": lambda draw, _: draw.pick([draw.size(), draw.tensor(), "x", None]),
    "VarType": lambda draw, _: draw.pick([draw.size(), "x", 1.0]),
}
