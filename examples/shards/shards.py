"""Training from tar shards, as webdataset writes them: data that need not fit into memory.

A shard is a tar of samples, each a few files with one key: 000042.png, 000042.cls. Of a sample
only the places in its tar are kept, 40 bytes; its bytes are read when its turn comes.
"""

import io
import os
import tarfile
from functools import lru_cache
from io import FileIO
from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

HERE = Path(__file__).parent
WINDOW = 4  # shards that are read, and shuffled among themselves, at a time


class Shards(Dataset):
    """(picture, class) of every sample in a folder of tars: uint8 [height, width, 1].

    Indices go through the shards one after the other, so the training can split them over ranks
    and workers, and go on in the middle of an epoch, as with any other dataset.
    """

    def __init__(self, folder: Path) -> None:
        self.shards = sorted(folder.glob("*.tar"))
        if not self.shards:
            raise FileNotFoundError(f"{folder} has no *.tar: run python write.py")
        tables = [index_of(path) for path in self.shards]
        self.sizes = [len(table) for table in tables]
        # Row: shard, offset and size of the picture, offset and size of the class.
        self.rows = np.concatenate(
            [np.insert(table, 0, number, axis=1) for number, table in enumerate(tables)]
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        shard, *places = self.rows[index].tolist()
        # pread: forked workers share a file's position, and this one needs none.
        file = opened(self.shards[shard]).fileno()
        picture, label = (os.pread(file, size, at) for at, size in (places[:2], places[2:]))
        return np.asarray(Image.open(io.BytesIO(picture)))[:, :, None], int(label)

    def order(self, seed: int) -> np.ndarray:
        """What the training asks each epoch: shards in random order, mixed within a window.

        So only `WINDOW` files are read from at a time, each from one end to the other, about.
        """
        rng = np.random.default_rng(seed)
        starts = np.cumsum([0, *self.sizes])
        shards = rng.permutation(len(self.sizes))
        windows = [shards[at : at + WINDOW] for at in range(0, len(shards), WINDOW)]
        return np.concatenate(
            [
                rng.permutation(np.concatenate([np.arange(starts[s], starts[s + 1]) for s in some]))
                for some in windows
            ]
        )


def index_of(path: Path) -> np.ndarray:
    """int64 [samples, 4], from the headers in the tar: where picture and class of each lie."""
    places: dict[str, dict[str, tuple[int, int]]] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, kind = member.name.partition(".")
            places.setdefault(key, {})[kind] = (member.offset_data, member.size)
    return np.array([(*one["png"], *one["cls"]) for one in places.values()], dtype=np.int64)


@lru_cache(maxsize=2 * WINDOW)
def opened(path: Path) -> FileIO:
    """A file that stays open while it is used; the one that is forgotten closes itself."""
    return path.open("rb", buffering=0)


def build_data(folder: str = "data") -> dict[str, Dataset]:
    return {split: Shards(HERE / folder / split) for split in ("train", "validation")}


def build_model(width: int = 8, classes: int = 10) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * width, classes),
    )
