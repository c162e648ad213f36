"""Weights: a round trip, and tied tensors stored once."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pipeline.errors import DamagedError
from pipeline.project.weights import load_weights, read_weights, save_weights


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


def _cut(folder: Path) -> bytes:
    torch.save(nn.Linear(30, 40).state_dict(), folder / "whole.pt")
    return (folder / "whole.pt").read_bytes()[:2000]


def _pickled(folder: Path) -> bytes:
    torch.save(nn.Linear(3, 4), folder / "model.pt")
    return (folder / "model.pt").read_bytes()


def _zipped(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("readme.txt", "no weights")
    return (folder / "x.zip").read_bytes()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("w.pt", lambda _: b"", "is empty"),
        ("w.safetensors", lambda _: b"", "is empty"),
        ("w.pt", lambda _: POINTER, "is a Git LFS pointer"),
        ("w.safetensors", lambda _: POINTER, "is a Git LFS pointer"),
        ("w.pt", _cut, "whose end is missing"),
        ("w.pt", _pickled, "holds more than tensors, such as a whole pickled model"),
        ("w.pt", _zipped, "is a zip archive, but not one that torch has saved"),
        ("w.pt", lambda _: b"hello", "cannot be loaded as weights saved by torch"),
    ],
)
def test_a_file_that_holds_no_weights_says_why(
    tmp_path: Path, name: str, content: Callable[[Path], bytes], said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content(tmp_path))
    with pytest.raises(DamagedError, match=said) as caught:
        read_weights(path)
    assert "\n" not in caught.value.message
    assert caught.value.hint


class Versioned(nn.Module):
    """As torchvision's MNASNet: without a version it does not know its own layout."""

    _version = 2

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def _load_from_state_dict(self, state: Any, prefix: str, metadata: Any, *more: Any) -> None:
        if metadata.get("version") not in (1, 2):
            raise ValueError("version should be set to 1 or 2 instead of None")
        super()._load_from_state_dict(state, prefix, metadata, *more)


def test_a_module_that_asks_for_its_version_is_told(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model, other = Versioned(), Versioned()
    save_weights(model, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    assert torch.equal(other.layer.weight, model.layer.weight)
