"""Samples: what a dataset may yield, and how it becomes arrays."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.config import Config
from pipeline.config.file import parse_config
from pipeline.errors import UsageError
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.project.samples import batches, load_samples, pair, to_arrays

PICTURES = Signature((TensorSpec("image", "uint8", (None, None, None, 3)),), ())
CODE = """
import numpy as np
class Rows(list):
    pass
def data(kind):
    made = {
        "image": [(np.full((4 + i % 2, 6, 3), i, np.uint8), i % 3) for i in range(10)],
        "tuple": [((np.ones(3), np.arange(i % 2 + 1)), 0.5) for i in range(4)],
        "dict": [({"a": np.ones(3, np.float32), "b": 1}, 0.5) for i in range(4)],
        "nan": [(np.array([1.0, np.nan]), 0)],
        "nan in a dict": [({"a": 1.0, "b": np.array([np.nan])}, 0)],
        "none in a dict": [({"a": 1.0, "scale": None}, 0)],
        "none": [((1.0, None), 0)],
        "empty": [],
        "flat": [np.ones(3)],
        "raises": Raises(),
    }
    return {"train": Rows(made["image"]), "validation": made[kind]}
class Raises(list):
    def __len__(self): return 1
    def __getitem__(self, i): raise OSError("no such picture")
"""


def config(folder: Path, split: str, **input_keys: object) -> Config:
    (folder / "rows.py").write_text(CODE)
    data = {"entry": "rows.py:data", "args": {"kind": split}}
    given = {"model": {"entry": "timm:x"}, "data": data, "input": input_keys}
    return parse_config(given, folder / "pipeline.toml")


def test_pictures_of_different_sizes_are_batched_apart(tmp_path: Path) -> None:
    samples = load_samples(config(tmp_path, "image", kind="image"), "validation", 100)
    assert len(samples) == 10
    assert samples.names == ("image",)
    seen = [index for indices, _ in batches(samples, PICTURES, 4) for index in indices]
    assert seen == list(range(10))
    for indices, (stacked,) in batches(samples, PICTURES, 4):
        assert stacked.shape[0] == len(indices) <= 4
        assert stacked.dtype == np.uint8
        for row, index in zip(stacked, indices, strict=True):
            assert np.array_equal(row, samples.inputs[index][0])


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("nan in a dict", "validation sample 0: b holds NaN"),
        ("none in a dict", "validation sample 0: scale is None; an exported model takes a tensor"),
        ("none", "validation sample 0: input_1 is None"),
    ],
)
def test_an_input_is_named_as_the_sample_names_it(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_samples(config(tmp_path, kind, kind="tensor"), "validation", 1)


def test_the_choice_is_seeded(tmp_path: Path) -> None:
    one = load_samples(config(tmp_path, "image", kind="image"), "validation", 5)
    two = load_samples(config(tmp_path, "image", kind="image"), "validation", 5)
    assert all(np.array_equal(a[0], b[0]) for a, b in zip(one.inputs, two.inputs, strict=True))
    assert len({int(a[0][0, 0, 0]) for a in one.inputs}) == 5


def test_calibration_is_taken_from_train(tmp_path: Path) -> None:
    assert len(load_samples(config(tmp_path, "empty", kind="image"), "calibration", 3)) == 3


def test_tuples_and_dicts(tmp_path: Path) -> None:
    several = load_samples(config(tmp_path, "tuple"), "validation", 4)
    assert several.names is None
    assert [array.dtype.name for array in several.inputs[0]] == ["float32", "int64"]
    by_name = load_samples(config(tmp_path, "dict"), "validation", 4)
    assert (by_name.names, by_name.keywords) == (("a", "b"), True)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", "validation set of rows.py:data has no samples"),
        ("nan", "validation sample 0: input_0 holds NaN"),
        ("flat", r"validation sample 0 is a ndarray, not \(input, target\)"),
        ("raises", "validation sample 0 raised OSError: no such picture"),
    ],
)
def test_what_is_wrong_with_data_is_said(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_samples(config(tmp_path, kind), "validation", 4)


def test_a_missing_split(tmp_path: Path) -> None:
    (tmp_path / "rows.py").write_text("def data(kind):\n    return {'train': [(1, 1)]}\n")
    given = {"entry": "rows.py:data", "args": {"kind": 1}}
    made = parse_config({"model": {"entry": "timm:x"}, "data": given}, tmp_path / "pipeline.toml")
    with pytest.raises(UsageError, match="returned train, but no 'validation' set"):
        load_samples(made, "validation", 4)


def test_pictures_come_as_arrays_tensors_and_pil(tmp_path: Path) -> None:
    grey = config(tmp_path, "image", kind="image", channels=1)
    for given in (
        np.zeros((5, 4), np.uint8),
        np.zeros((5, 4, 1), np.uint8),
        torch.zeros(5, 4, 1, dtype=torch.uint8),
        Image.new("RGB", (4, 5)),
    ):
        (array,) = to_arrays(grey, given, "here")
        assert (array.shape, array.dtype) == ((5, 4, 1), np.uint8)  # type: ignore[comparison-overlap]
    for wrong in (np.zeros((5, 4, 3), np.uint8), np.zeros((5, 4, 1), np.float32), "picture"):
        with pytest.raises(UsageError, match=r"takes uint8\[height, width, 1\]"):
            to_arrays(grey, wrong, "here")


def test_synthetic_samples_without_data(tmp_path: Path) -> None:
    given = {
        "model": {"entry": "timm:x"},
        "input": {"shapes": {"x": ["batch", 3, "length"]}, "dtypes": {"x": "int64"}},
    }
    samples = load_samples(parse_config(given, tmp_path / "p.toml"), "validation", 3)
    assert samples.synthetic
    assert samples.inputs[0][0].shape == (3, 8)
    assert samples.inputs[0][0].dtype == np.int64
    bare = parse_config({"model": {"entry": "timm:x"}}, tmp_path / "p.toml")
    with pytest.raises(UsageError, match="what the model takes is unknown"):
        load_samples(bare, "validation", 3)


def test_a_pair_of_other_length() -> None:
    with pytest.raises(UsageError, match="sample 7 is a tuple of 3"):
        pair((1, 2, 3), "train", 7)
