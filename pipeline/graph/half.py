"""Models built in half precision, computed in float32: what every runtime and recipe can do.

Kernels for bfloat16 and float16 are missing in ONNX Runtime on CPUs and in the quantizers; float16
in a file is a recipe of its own, measured against float32.
"""

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

HALF = (torch.float16, torch.bfloat16)


def in_float32(model: nn.Module) -> str | None:
    """Makes weights of half precision float32, in place, and takes float32 wherever the forward
    asks for half; gives the name of the type that they had, None where there is none."""
    if isinstance(model, torch.jit.ScriptModule):
        return None
    tensors = (*model.parameters(), *model.buffers())
    found = next((tensor.dtype for tensor in tensors if tensor.dtype in HALF), None)
    if found is None:
        return None
    model.float()
    kind = type(model)

    @functools.wraps(kind.forward)
    def forward(self: nn.Module, *inputs: Any, **named: Any) -> Any:
        with _Float32():
            return kind.forward(self, *inputs, **named)

    # Of a class, since a copy of the module must not call the original's.
    own = {"forward": forward, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    model.__class__ = type(kind.__name__, (kind,), own)
    return str(found).removeprefix("torch.")


class _Float32(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (Tensor.half, Tensor.bfloat16):
            return args[0].float()
        named = {key: _wide(value) for key, value in (kwargs or {}).items()}
        return func(*(_wide(value) for value in args), **named)


def _wide(value: Any) -> Any:
    return torch.float32 if isinstance(value, torch.dtype) and value in HALF else value
