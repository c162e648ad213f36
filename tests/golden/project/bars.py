"""Pictures of a bright bar in noise, and a model that says how it lies."""

import numpy as np
from torch import nn
from torch.utils.data import Dataset


class Bars(Dataset):
    """(picture uint8 [8, 8, 1], class): upright, lying or diagonal."""

    def __init__(self, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.classes = np.arange(count) % 3
        self.pictures = rng.integers(0, 100, (count, 8, 8, 1), dtype=np.uint8)
        steps = np.arange(8)
        for picture, lies in zip(self.pictures, self.classes, strict=True):
            at = rng.integers(1, 7)
            rows = steps if lies != 1 else at
            columns = steps if lies != 0 else at
            picture[rows, columns] = 255

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.pictures[index], int(self.classes[index])


def build_data() -> dict[str, Dataset]:
    return {"train": Bars(480, 1), "validation": Bars(256, 2)}


def build_model(width: int = 8) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 3),
    )
