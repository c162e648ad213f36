"""A small network that tells circles, squares and triangles apart, on pictures drawn here."""

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset

Picture = NDArray[np.uint8]

CLASSES = ("circle", "square", "triangle")


class Shapes(Dataset[tuple[Picture, int]]):
    """(picture, class): uint8 RGB [48, 64, 3], one shape on a noisy ground.

    Put your own data here: files that you read, a table, what you like. An item is raw pixels and
    the number of its class; resizing and normalising are done in the graph (`[input]`).
    """

    def __init__(self, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.classes = rng.integers(0, len(CLASSES), count)
        self.pictures = [draw(CLASSES[kind], rng) for kind in self.classes]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Picture, int]:
        return self.pictures[index], int(self.classes[index])


def draw(shape: str, rng: np.random.Generator, height: int = 48, width: int = 64) -> Picture:
    """One picture, with a shape of random size, place and colour."""
    radius = rng.integers(8, 18)
    y = np.arange(height)[:, None] - rng.integers(radius, height - radius)
    x = np.arange(width)[None, :] - rng.integers(radius, width - radius)
    if shape == "circle":
        inside = x**2 + y**2 <= radius**2
    elif shape == "square":
        inside = (abs(x) <= radius * 0.85) & (abs(y) <= radius * 0.85)
    else:
        inside = (abs(x) <= (y + radius) / 2) & (abs(y) <= radius)
    picture = rng.integers(0, 100, (height, width, 3), dtype=np.uint8)
    picture[inside] = rng.integers(140, 256, 3, dtype=np.uint8)
    return picture


def build_data(train: int = 1024, validation: int = 512) -> dict[str, Shapes]:
    """What `[data] entry` names. `validation` is never trained on."""
    return {"train": Shapes(train, seed=1), "validation": Shapes(validation, seed=2)}


def build_model(width: int = 16) -> nn.Module:
    """What `[model] entry` names: takes float32 [batch, 3, 32, 32], gives a score a class."""

    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]

    return nn.Sequential(
        *block(3, width),
        *block(width, 2 * width),
        *block(2 * width, 4 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, len(CLASSES)),
    )
