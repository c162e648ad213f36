"""Arguments that torch's kernels trust are refused by the C++ runner before they get there; what
real models give them is not."""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.formats.torchscript.write import save_clean
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.runtimes import RUNTIMES, Asked

X = np.linspace(-1, 1, 2 * 5 * 8, dtype=np.float32).reshape(2, 5, 8)
SIGNATURE = Signature(
    (TensorSpec("x", "float32", (None, 5, 8)),), (TensorSpec("y", "float32", (None, None, None)),)
)


def answer(runtime: str, script: torch.jit.ScriptModule, tmp_path: Path) -> np.ndarray:
    artifact = tmp_path / "model.pt"
    artifact.write_bytes(save_clean(script))
    runner = RUNTIMES[runtime].open(artifact, Asked(SIGNATURE, 1, "x86_64"))
    try:
        return runner.run([X.copy()])[0]
    finally:
        runner.close()


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class Masked(nn.Module):
    """Its mask makes nested tensors on the way."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.zeros(x.size(0), x.size(1), dtype=torch.bool, device=x.device)
        mask[:, 3:] = True
        y: Tensor = self.encoder(x, src_key_padding_mask=mask)
        return y


class Scaled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True)
        size = x.size(1) // 2 + x.size(2) % 3
        return y.to(torch.float64).narrow(1, 0, size).to(x.dtype)


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y


class Bag(nn.Module):
    """An embedding bag of each sample, with its own offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(9, 8)

    def forward(self, x: Tensor) -> Tensor:
        indices = (x[:, :, 0].abs() * 8).to(torch.int64)
        y: Tensor = self.bag(indices)
        return y.unsqueeze(1)


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True)
        return nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]


def weight_norm() -> nn.Module:
    return torch.nn.utils.parametrizations.weight_norm(nn.Conv1d(5, 4, 3))


def lstm() -> nn.Module:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 4, 2, batch_first=True, bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.lstm(x)[0]

    return Recurrent()


MODELS = [SelfAttention, Masked, Scaled, Layer, Bag, Packed, lstm]


@pytest.mark.parametrize(
    ("how", "model"),
    # torch cannot script a weight norm.
    [*product(["trace", "script"], MODELS), ("trace", weight_norm)],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_real_models_answer_as_in_python(
    how: str, model: Callable[[], nn.Module], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    module = model().eval()
    with torch.no_grad():
        if how == "trace":
            script = torch.jit.trace(module, torch.from_numpy(X.copy()), check_trace=False)
        else:
            script = torch.jit.script(module)
    here, there = (answer(name, script, tmp_path) for name in ("torchscript", "cpp-libtorch"))
    assert here.size
    assert here.tobytes() == there.tobytes()


ATTENTION = "attention (of|whose)"
HEADS = "torch._native_multi_head_attention(x, x, x, {}, {}, w, b, v, c, {}, False, True, {})[0]"
LAYER = (
    "torch._transformer_encoder_layer_fwd(x, 8, 2, w, b, v, c, False, False, 1e-5, "
    "{}, c, c, c, v, c, v, c, {}, {})"
)
# The lines of a model's forward, and what it is refused with.
HOSTILE = {
    "zero": ("n = x.size(0) - 2\n    return x * (7 // n)", "integer division by zero"),
    "zero-rest": ("n = x.size(0) - 2\n    return x * (7 % n)", "integer division by zero"),
    "overflow": (
        "n = x.size(0) - 3\n    return x * ((-9223372036854775807 + n) // n)",
        "an integer division that overflows",
    ),
    "gcd": (
        "least = (x.size(0) - 3) * 9223372036854775807 - 1\n    return x * torch.gcd(2, least)",
        "divisor that overflows",
    ),
    "copy": (
        "d: Optional[int] = None\n    return x.to(d, False, True)",
        "a copy of no dtype",
    ),
    "dtype": ("return torch.zeros([2], dtype=x.size(0) - 3)", "dtype has no value -1"),
    "dtype-to": ("return x.to(x.size(0) + 400)", "dtype has no value 402"),
    "dtype-constant": ("return torch.zeros([2], dtype=77)", "the dtype 77, which is none"),
    "layout": ("return torch.zeros([2], layout=x.size(0))", "layout has no value 2"),
    "memory-format": (
        "return torch.empty([2], memory_format=x.size(0) + 2)",
        "memory_format has no value 4",
    ),
    "attention": (
        "e = x[:, :0]\n    return torch._C._nn.scaled_dot_product_attention(e, x, x)",
        "scaled_dot_product_attention of an empty tensor",
    ),
    "weight-norm": ("return torch._weight_norm(x, x[:1, :1, :1], 0)", "a weight norm whose"),
    "weight-norm-empty": ("return torch._weight_norm(x[:0], x[:0, :1, :1], 0)", "of an empty"),
    "weight-norm-axis": ("return torch._weight_norm(x, x[:1], 7)", "an axis that its weight"),
    "bag": ("return torch.embedding_bag(w, n, n)[0]", "whose indices have axes"),
    "bag-mode": (
        "return torch.embedding_bag(w, n[0, 0], n[0, 0], False, -2)[0]",
        "a mode that is none",
    ),
    "bag-offsets": (
        "o = torch.tensor([0, 3, 1])\n    return torch.embedding_bag(w, n[0, 0], o)[0]",
        "offsets do not rise",
    ),
    "packed": (
        "return torch._pad_packed_sequence(x[0], torch.tensor([0, 5]), False, 0., 7)[0]",
        "a packed sequence whose sizes",
    ),
    "packed-empty": (
        "return torch._pad_packed_sequence(x[0, :0], torch.tensor([1]), False, 0., 7)[0]",
        "a packed sequence without data",
    ),
    "lstm": (
        "return torch.lstm(x[0], torch.tensor([4, 2]), [v[:1], v[:1]], [w, w], False, 1, 0., "
        "False, False)[0]",
        "a packed sequence whose sizes",
    ),
    "heads": ("return " + HEADS.format(8, 0, None, None), ATTENTION),
    "width": ("return " + HEADS.format(4, 2, None, None), ATTENTION),
    "mask": ("return " + HEADS.format(8, 2, "x[0, 0, :1]", 1), ATTENTION),
    "mask-type": ("return " + HEADS.format(8, 2, "x[0, 0, :1]", 9), ATTENTION),
    "projection": ("w = w[:3]\n    return " + HEADS.format(8, 2, None, None), ATTENTION),
    "keys": (
        "return " + HEADS.format(8, 2, None, None).replace("x, x, x", "x, x[:1], x"),
        ATTENTION,
    ),
    "norm": ("return " + LAYER.format("c[:1]", None, None), "a transformer layer whose norms"),
    "layer-mask": ("return " + LAYER.format("c", "x[0, 0, :1]", 1), ATTENTION),
}


TENSORS = """\
    w = torch.zeros([24, 8])
    b = w[:, 0]
    n = x.to(torch.int64)
    v = w[:8]
    c = w[:8, 0]
    """


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_arguments_are_an_error(case: str, tmp_path: Path) -> None:
    lines, said = HOSTILE[case]
    module = type("Hostile", (torch.jit.ScriptModule,), {})()
    module.define(f"def forward(self, x: Tensor):\n{TENSORS}{lines}\n")
    with pytest.raises(RuntimeError, match=said):
        answer("cpp-libtorch", module, tmp_path)
