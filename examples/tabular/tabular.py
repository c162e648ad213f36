"""Is a tumour benign? 30 measurements of cell nuclei, a small network that scales them itself."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn
from torch.utils.data import TensorDataset

VALIDATION = 284  # of 569 patients; never trained on, nor asked for means
FARTHEST = 16.0  # deviations from the mean; no patient lies that far off


def split() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Measurements float32 [patients, 30] and classes [patients], to train on and held out."""
    table = load_breast_cancer()  # class 0 is malignant, 1 benign
    order = np.random.default_rng(0).permutation(len(table.target))
    train, held_out = order[:-VALIDATION], order[-VALIDATION:]
    measured = table.data.astype(np.float32)
    return measured[train], table.target[train], measured[held_out], table.target[held_out]


def build_data() -> dict[str, TensorDataset]:
    measured, classes, held_out, held_out_classes = map(torch.from_numpy, split())
    return {
        "train": TensorDataset(measured, classes),
        "validation": TensorDataset(held_out, held_out_classes),
    }


class Tumour(nn.Module):
    """Raw measurements [batch, 30] → scores [batch, 2].

    One measurement is around 0.01, another around 1000. The mean and deviation that bring them to
    one scale are buffers: they travel with the weights into every exported file, and no caller
    has to know them.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        measured = torch.from_numpy(split()[0])
        self.register_buffer("mean", measured.mean(0))
        self.register_buffer("deviation", measured.std(0))
        self.layers = nn.Sequential(
            nn.Linear(30, width), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.2),
            nn.Linear(width, 2),
        )  # fmt: skip

    def forward(self, measurements: Tensor) -> Tensor:
        scaled = (measurements - self.mean) / self.deviation
        # A mistyped measurement is an extreme one, and none overflows in float16.
        return self.layers(scaled.clamp(-FARTHEST, FARTHEST))


def build_model(width: int = 64) -> nn.Module:
    return Tumour(width)
