"""Every way to fit a picture is exported as it is, for pictures of any size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import UsageError
from tests.export.conftest import export

FITS: dict[str, dict[str, Any]] = {
    "crop of a part": {"fit": "crop", "crop_ratio": 0.875},
    "letterbox": {"fit": "letterbox"},
    "letterbox as OpenCV": {"fit": "letterbox", "antialias": False, "order": "bgr"},
    "bicubic": {"interpolation": "bicubic"},
    "bicubic crop": {"fit": "crop", "crop_ratio": 0.9, "interpolation": "bicubic"},
    "bicubic as OpenCV": {"interpolation": "bicubic", "antialias": False},
    "nearest": {"interpolation": "nearest"},
    "planes first": {"layout": "nchw", "fit": "letterbox"},
    "sixteen bits": {"pixels": "uint16"},
    "real numbers": {"pixels": "float32", "fit": "crop"},
}


@pytest.mark.parametrize("name", FITS)
def test_a_way_to_fit(folder: Path, name: str) -> None:
    keys = {"kind": "image", "size": [16, 20], "mean": [0.4], "std": [0.2], **FITS[name]}
    result = export(folder, "cnn", input=keys)
    assert set(result.artifacts) == {"torchscript", "onnx"}
    for height, width in ((9, 31), (40, 17), (16, 20), (64, 64)):
        pixels = np.random.default_rng(height).integers(0, 256, (2, height, width, 3))
        if keys.get("layout") == "nchw":
            pixels = pixels.transpose(0, 3, 1, 2)
        scale = {"uint16": 257, "float32": 1 / 255}.get(keys.get("pixels", "uint8"), 1)
        dtype = {"uint16": np.int32, "float32": np.float32}.get(keys.get("pixels", ""), np.uint8)
        given = np.ascontiguousarray((pixels * scale).astype(dtype))
        result.assert_same(given, tolerance=2e-5)


def test_several_channels_and_what_does_not_fit(folder: Path) -> None:
    keys = {"kind": "image", "size": [16, 20], "channels": 5}
    result = export(folder, {"entry": "models.py:cnn", "args": {"channels": 5}}, input=keys)
    result.assert_same(np.random.default_rng(0).integers(0, 256, (2, 9, 31, 5)).astype(np.uint8))
    assert result.signature.inputs[0].meaning.startswith("5-channel pixels, 0 to 255")


def test_two_pictures_have_sizes_of_their_own(folder: Path) -> None:
    folder.mkdir()
    (folder / "pair.py").write_text(
        "from torch import nn\n"
        "class Pair(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.look = nn.Conv2d(3, 4, 3)\n"
        "    def forward(self, left, right):\n"
        "        return (self.look(left) - self.look(right)).mean((2, 3))\n"
    )
    table = {"kind": "image", "size": [16, 16]}
    tables = {"left": table, "right": {**table, "fit": "letterbox"}}
    result = export(folder, {"entry": "pair.py:Pair"}, inputs=tables)
    rng = np.random.default_rng(0)
    left, right = (
        rng.integers(0, 256, (2, *size, 3)).astype(np.uint8) for size in ((9, 31), (40, 17))
    )
    result.assert_same(left, right)


def test_an_axis_of_one_name_has_one_size(folder: Path) -> None:
    folder.mkdir()
    (folder / "data.py").write_text(
        "import numpy as np\n"
        "def rows():\n"
        "    row = (np.zeros((5, 4), np.float32), np.zeros((3, 1), np.float32)), 0\n"
        "    return {'train': [row] * 4, 'validation': [row] * 4}\n"
    )
    tables = {"x": {"shape": ["batch", "time", 4]}, "mask": {"shape": ["batch", "time", 1]}}
    with pytest.raises(UsageError, match="'time' is 5 long in x and 3 in mask"):
        export(folder, "several", data={"entry": "data.py:rows"}, inputs=tables)


def test_noise_has_one_size_for_an_axis(folder: Path) -> None:
    tables = {
        "x": {"shape": ["batch", "time", 4], "sizes": {"time": [6, 3]}},
        "mask": {"shape": ["batch", "time", 1]},
    }
    result = export(folder, "several", inputs=tables)
    assert {"time 3", "as exported"} <= set(result.summary["checked_on"])
    result.assert_same(np.ones((2, 7, 4), np.float32), np.ones((2, 7, 1), np.float32))
