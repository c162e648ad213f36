"""Weights that are computed in each call become plain; half precision becomes float32."""

import copy
import inspect

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from pipeline.graph.half import in_float32
from pipeline.graph.parametrize import settle_weights


def linear() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(8, 8)


def pruned() -> nn.Module:
    return prune.l1_unstructured(linear(), "weight", 0.5)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.utils.weight_norm(linear()),
        lambda: nn.utils.spectral_norm(linear()),
        lambda: parametrizations.weight_norm(linear()),
        lambda: parametrizations.spectral_norm(linear()),
        lambda: parametrizations.orthogonal(linear()),
        pruned,
    ],
    ids=["weight norm", "spectral norm", "new weight norm", "new spectral", "orthogonal", "pruned"],
)
def test_the_answers_stay_and_nothing_is_computed_anew(make) -> None:  # type: ignore[no-untyped-def]
    model, x = nn.Sequential(make(), nn.ReLU()), torch.randn(3, 8)
    model.train()(x)  # what a spectral norm learns while it is trained
    model.eval()
    before = model(x)
    assert settle_weights(model) == ["0.weight"]
    torch.testing.assert_close(model(x), before, rtol=0, atol=1e-6)
    assert type(model[0]) is nn.Linear
    assert dict(model.named_parameters()).keys() == {"0.weight", "0.bias"}
    assert not model[0]._forward_pre_hooks
    assert settle_weights(model) == []


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = linear()

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        y = self.layer(x.to(torch.bfloat16)) + torch.zeros(8, dtype=torch.bfloat16)
        return y.half().float() * scale


def test_a_model_of_half_precision_is_computed_in_float32() -> None:
    model, x = Half().bfloat16(), torch.randn(3, 8)
    with torch.no_grad():
        model.layer.weight.copy_(torch.randn(8, 8))
    assert in_float32(model) == "bfloat16"
    expected = x @ model.layer.weight.T + model.layer.bias
    torch.testing.assert_close(model(x, scale=2.0), 2 * expected)
    assert list(inspect.signature(model.forward).parameters) == ["x", "scale"]
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.layer.weight.zero_()
    torch.testing.assert_close(model(x), expected)  # a copy calls its own weights
    assert isinstance(model, Half) and in_float32(model) is None


def test_a_model_of_float32_is_left_alone() -> None:
    model = linear()
    assert in_float32(model) is None and type(model) is nn.Linear
