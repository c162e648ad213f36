"""Custom autograd functions as what their forward computes: a trace holds no call of Python.

`Rounding.apply(x)` traced is one opaque node that no file can hold. While a model is traced for
inference its gradient doesn't matter, so that the forward is traced through instead. Whoever traces
compares the answers with the model's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd import Function
from torch.autograd.function import _SingleLevelFunction


class _Context:
    """What a forward is given as `ctx`: takes all that is kept for a backward that never runs."""

    needs_input_grad: tuple[bool, ...] = ()
    saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors

    save_for_forward = save_for_backward

    def mark_dirty(self, *tensors: Any) -> None: ...

    def mark_non_differentiable(self, *tensors: Any) -> None: ...

    def set_materialize_grads(self, value: bool) -> None: ...


@contextmanager
def inlined_functions() -> Iterator[None]:
    """Within it `Function.apply` runs the forward as any other code of the model's."""
    patched: Any = Function
    known = Function.__dict__["apply"]

    def apply(cls: Any, *args: Any, **named: Any) -> Any:
        if cls.setup_context is not _SingleLevelFunction.setup_context:  # the forward has no ctx
            return cls.forward(*args, **named)
        context = _Context()
        context.needs_input_grad = (False,) * len(args)
        return cls.forward(context, *args, **named)

    patched.apply = classmethod(apply)
    try:
        yield
    finally:
        patched.apply = known


def python_calls(module: torch.jit.ScriptModule) -> list[str]:
    """Calls of Python that a trace has kept, by name: a file cannot hold them."""
    graph: Any = module.inlined_graph  # nodes live as long as it does
    return [str(node.pyname()) for node in graph.findAllNodes("prim::PythonOp")]
