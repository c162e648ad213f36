"""Writes the digits of scikit-learn as tar shards: data/train/*.tar, data/validation/*.tar.

python examples/shards/write.py
"""

import sys
from pathlib import Path

import numpy as np
import webdataset
from PIL import Image
from sklearn.datasets import load_digits


def write(folder: Path, per_shard: int = 64, validation: int = 360) -> None:
    scans = load_digits()
    pictures = (scans.images * (255 / 16)).round().astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(pictures))
    splits = {"train": order[:-validation], "validation": order[-validation:]}
    for split, indices in splits.items():
        (folder / split).mkdir(parents=True, exist_ok=True)
        pattern = str(folder / split / "%05d.tar")
        with webdataset.ShardWriter(pattern, maxcount=per_shard, verbose=0) as shards:
            for index in indices.tolist():
                shards.write(
                    {
                        "__key__": f"{index:06d}",
                        "png": Image.fromarray(pictures[index]),
                        "cls": int(scans.target[index]),
                    }
                )


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent / "data")
