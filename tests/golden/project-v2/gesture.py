"""Follows a gesture: a picture, how the hand moves, and what was known of it before."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset


class Gesture(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Linear(64, 4)
        self.follow = nn.GRU(7, 6)
        self.place = nn.Linear(6, 2)

    def forward(
        self, frame: Tensor, motion: Tensor, state: Tensor, gain: Tensor
    ) -> dict[str, Tensor]:
        seen = torch.tanh(self.look(frame.flatten(1)))
        steps = torch.cat([motion * gain, seen.expand(motion.shape[0], -1, -1)], 2)
        hidden, after = self.follow(steps, state)
        return {"track": self.place(hidden), "state_after": after, "origin": self.place.bias * 1}


class Gestures(Dataset[tuple[dict[str, np.ndarray], np.ndarray]]):
    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self.seed = seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        rng = np.random.default_rng([self.seed, index])
        size = 8 + index % 3
        sample = {
            "frame": rng.integers(0, 256, (size, 8, 1), dtype=np.uint8),
            "motion": rng.normal(size=(3 + index % 2, 3)).astype(np.float32),
            "state": rng.normal(size=(1, 6)).astype(np.float32),
            "gain": np.float32(rng.choice([0.5, 2.0])),
        }
        return sample, np.zeros(2, np.float32)


def build_model() -> Gesture:
    return Gesture()


def build_data() -> dict[str, Gestures]:
    return {"train": Gestures(64, 1), "validation": Gestures(32, 2)}
