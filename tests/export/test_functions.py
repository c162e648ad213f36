"""Custom autograd functions go into a file as what their forward computes, or are refused."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pipeline.graph.inline import inlined_functions, python_calls


class Rounding(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, steps: int) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return torch.round(x * steps) / steps

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        return gradient, None


class Halves(torch.autograd.Function):
    """The newer form, with two outputs."""

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        first, second = x.chunk(2, -1)
        return first * 2, second.clone()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, *gradients: Tensor):  # type: ignore[no-untyped-def]
        return None


class Model(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = Halves.apply(Rounding.apply(x, 4))
        return first + second


class Bound(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rounded = Rounding.apply

    def forward(self, x: Tensor) -> Tensor:
        return self.rounded(x, 4)


def traced(model: nn.Module, x: Tensor) -> torch.jit.ScriptModule:
    with torch.no_grad(), inlined_functions():
        return torch.jit.trace(model, (x,), check_trace=False)


def test_a_trace_holds_what_the_forward_computes(tmp_path: Path) -> None:
    x = torch.randn(3, 8)
    found = traced(Model(), x)
    assert not python_calls(found)
    found.save(str(tmp_path / "m.pt"))
    other = torch.randn(5, 8)
    assert torch.equal(torch.jit.load(str(tmp_path / "m.pt"))(other), Model()(other))


def test_a_gradient_is_what_it_was() -> None:
    x = torch.randn(4, requires_grad=True)
    with inlined_functions():
        pass
    Rounding.apply(x, 4).sum().backward()
    assert torch.equal(x.grad, torch.ones(4))  # type: ignore[arg-type]


def test_a_call_that_stays_is_found() -> None:
    model = Bound()  # has taken the function's own apply before
    found = traced(model, torch.randn(2, 8))
    assert len(python_calls(found)) == 1
    with pytest.raises(RuntimeError, match="Python function"):
        found.save_to_buffer()
