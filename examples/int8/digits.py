"""The scanned digits as RGB pictures, and a small vision transformer, for the int8 examples."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset


class Digits(Dataset):
    """(picture, class): uint8 RGB [8, 8, 3], enlarged to the model's size in the graph."""

    def __init__(self, pictures: np.ndarray, classes: np.ndarray) -> None:
        self.pictures = pictures
        self.classes = classes

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.pictures[index], int(self.classes[index])


def build_data(validation: int = 360, seed: int = 0) -> dict[str, Dataset]:
    """1797 scans of 43 writers; the last `validation` of a seeded shuffle are never trained on."""
    scans = load_digits()
    grey = (scans.images * (255 / 16)).round().astype(np.uint8)
    pictures = np.repeat(grey[..., None], 3, axis=-1)
    order = np.random.default_rng(seed).permutation(len(pictures))
    train, held_out = order[:-validation], order[-validation:]
    return {
        "train": Digits(pictures[train], scans.target[train]),
        "validation": Digits(pictures[held_out], scans.target[held_out]),
    }


class Block(nn.Module):
    """Attention and two linear layers, normalised before each (Dosovitskiy et al., 2020)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        parts = self.qkv(self.norm1(x)).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5
        mixed = (torch.softmax(scores, -1) @ value).transpose(1, 2).reshape(batch, tokens, width)
        x = x + self.out(mixed)
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class VisionTransformer(nn.Module):
    """[batch, 3, size, size] → [batch, classes]: patches, blocks, the mean of all tokens."""

    def __init__(
        self, size: int = 64, patch: int = 8, width: int = 128, depth: int = 4, classes: int = 10
    ) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.places = nn.Parameter(torch.zeros(1, (size // patch) ** 2, width))
        nn.init.trunc_normal_(self.places, std=0.02)
        self.blocks = nn.Sequential(*(Block(width, width // 32) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patches(pixels).flatten(2).transpose(1, 2) + self.places
        return self.head(self.norm(self.blocks(x)).mean(1))
