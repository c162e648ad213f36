"""The scanned digits as RGB pictures, for a network that was made for photographs."""

import numpy as np
from sklearn.datasets import load_digits
from torch.utils.data import Dataset


class Digits(Dataset):
    """(picture, class): uint8 RGB [8, 8, 3], enlarged to 64 × 64 in the graph."""

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
