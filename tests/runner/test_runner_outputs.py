"""What a TorchScript model may answer with that is not simply numbers in memory."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.formats.torchscript.write import save_clean
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.runtimes import RUNTIMES, Asked
from pipeline.runtimes.eager import EagerRunner

SIGNATURE = Signature(
    (TensorSpec("x", "float32", (None, 3)),), (TensorSpec("y", "float32", (None, 3)),)
)
X = np.arange(6, dtype=np.float32).reshape(2, 3) + 1


def answer(runtime: str, module: nn.Module, tmp_path: Path) -> np.ndarray:
    artifact = tmp_path / "model.pt"
    artifact.write_bytes(save_clean(torch.jit.script(module.eval())))
    runner = RUNTIMES[runtime].open(artifact, Asked(SIGNATURE, 1, "x86_64"))
    try:
        (given,) = runner.run([X.copy()])
    finally:
        runner.close()
    return given


class Imaginary(nn.Module):
    """The imaginary part of a conjugate: memory of `z` with a bit that turns the sign."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.complex(x, x).conj().imag


class ImaginaryWhole(nn.Module):
    """The same where that memory is dense as it is."""

    def forward(self, x: Tensor) -> Tensor:
        return torch._neg_view(x)


@pytest.mark.parametrize("runtime", ["torchscript", "cpp-libtorch"])
@pytest.mark.parametrize("model", [Imaginary, ImaginaryWhole])
def test_a_sign_that_is_still_to_be_turned(
    runtime: str, model: Callable[[], nn.Module], tmp_path: Path
) -> None:
    np.testing.assert_array_equal(answer(runtime, model(), tmp_path), -X)


@pytest.mark.parametrize("model", [Imaginary, ImaginaryWhole])
def test_the_reference_turns_it_too(model: Callable[[], nn.Module]) -> None:
    runner = EagerRunner(model(), 1)  # type: ignore[arg-type]
    try:
        np.testing.assert_array_equal(runner.run([X.copy()])[0], -X)
    finally:
        runner.close()


class Meta(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to("meta")


class MetaWithOthers(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, torch.empty_like(x, device="meta")


class Nested(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch._nested_tensor_from_mask(x.unsqueeze(0), torch.ones(1, 2, dtype=torch.bool))


class Complex(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.complex(x, x).conj()


class Quantized(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)


class Half(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.bfloat16)


class Text(nn.Module):
    def forward(self, x: Tensor) -> str:
        return "x"


class Missing(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        return x, None


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Meta, "an output is on the device meta; outputs are on the CPU"),
        (MetaWithOthers, "an output is on the device meta; outputs are on the CPU"),
        (Nested, "an output is a nested tensor; outputs are dense"),
        (Complex, "an output is complexfloat, an element type that bundles do not have"),
        (Quantized, "an output is quint8, an element type that bundles do not have"),
        (Half, "an output is bfloat16, an element type that bundles do not have"),
        (Text, "forward gave neither a tensor nor a tuple of tensors"),
        (Missing, "an output that is no tensor"),
    ],
)
def test_what_is_no_answer_is_said_in_one_sentence(
    model: Callable[[], nn.Module], said: str, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError) as raised:
        answer("cpp-libtorch", model(), tmp_path)
    assert re.fullmatch(rf"{re.escape(said)} \(bad-output\)", str(raised.value)), raised.value
