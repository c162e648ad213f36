"""What a capture by torch.jit needs around it: sizes that are keys, buffers that stay."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def sizes_as_keys() -> Iterator[None]:
    """In a trace a size is a tensor, and tensors are keys by identity: a dict that a model keeps by
    shape would never find what it has just put there. Here what was computed of sizes is a key by
    its value, as it is outside of a trace."""
    by_identity = Tensor.__hash__

    def by_value(tensor: Tensor) -> int:
        if not _is_computed_number(tensor):
            return id(tensor)  # as torch has it
        with warnings.catch_warnings():  # the user's line is told where keys are compared
            warnings.simplefilter("ignore")
            return hash(int(tensor))

    Tensor.__hash__ = by_value  # type: ignore[method-assign]
    try:
        yield
    finally:
        Tensor.__hash__ = by_identity  # type: ignore[method-assign]


@contextmanager
def buffers_kept(module: nn.Module) -> Iterator[None]:
    """Runs of the module inside the block leave its buffers as they were: a count of calls is no
    part of a file."""
    before = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, kept in before:
                buffer.copy_(kept)


def _is_computed_number(tensor: Tensor) -> bool:
    """Whether a trace that goes on has computed this integer: no input, no buffer, no constant."""
    tracing: bool = torch._C._is_tracing()
    if not tracing or tensor.dtype != torch.int64 or tensor.dim():
        return False
    kind: str = torch._C._get_value_trace(tensor).node().kind()  # type: ignore[attr-defined]
    return kind.startswith("aten::") or kind == "prim::NumToTensor"


@contextmanager
def plain_attention() -> Iterator[None]:
    """Without the fused attention of nn.TransformerEncoder, whose nested tensors neither exporters
    nor those who look at every operator know."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
