"""Weights: a round trip, and tied tensors stored once."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.errors import DamagedError
from pipeline.weights import load_weights, read_weights, save_weights


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 50, bias=False)
        self.head.weight = self.embed.weight
        self.norm = nn.BatchNorm1d(8)


def test_round_trip_with_tied_weights_stored_once(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, other = Tied(), Tied()
    path = tmp_path / "w.safetensors"
    save_weights(model, path)
    assert path.stat().st_size < 2 * model.embed.weight.numel() * 4
    load_weights(other, path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    assert other.head.weight is other.embed.weight


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    model = nn.Linear(3, 4)
    save_weights(model, tmp_path / "a.safetensors")
    save_weights(model, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(DamagedError, match="not a readable safetensors file"):
        read_weights(path)
