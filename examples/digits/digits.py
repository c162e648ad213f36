"""A small CNN for scanned digits: what a user of the pipeline writes."""

import numpy as np
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import Dataset


class Digits(Dataset):
    """(picture, class): uint8 [8, 8, 1] as scanned, bright strokes on black."""

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
    pictures = (scans.images * (255 / 16)).round().astype(np.uint8)[..., None]
    order = np.random.default_rng(seed).permutation(len(pictures))
    train, held_out = order[:-validation], order[-validation:]
    return {
        "train": Digits(pictures[train], scans.target[train]),
        "validation": Digits(pictures[held_out], scans.target[held_out]),
    }


def build_model(width: int = 16, classes: int = 10) -> nn.Module:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]

    return nn.Sequential(
        *block(1, width),
        *block(width, width),
        nn.MaxPool2d(2),
        *block(width, 2 * width),
        *block(2 * width, 2 * width),
        nn.MaxPool2d(2),
        *block(2 * width, 4 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(4 * width, classes),
    )
