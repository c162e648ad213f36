"""A model of a zoo says how its pictures are resized, where the configuration does not."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import ImageConfig, ModelInput
from pipeline.config.file import parse_config


def image(entry: str, **keys: Any) -> tuple[ImageConfig, ModelInput]:
    given = {"model": {"entry": entry}, "input": {"kind": "image", **keys}}
    known = parse_config(given, Path("pipeline.toml")).named_inputs["image"]
    assert known.image is not None
    return known.image, known


def test_torchvision_says_all() -> None:
    config, known = image("torchvision:resnet18")
    assert (config.size, config.fit, config.crop_ratio) == ((224, 224), "crop", 0.875)
    assert config.interpolation == "bilinear"
    assert config.mean == (0.485, 0.456, 0.406) and config.std == (0.229, 0.224, 0.225)
    assert set(known.taken) == {"size", "fit", "crop_ratio", "interpolation", "mean", "std"}
    assert image("torchvision:swin_t")[0].interpolation == "bicubic"


def test_timm_says_all() -> None:
    pytest.importorskip("timm")
    config, _ = image("timm:vit_tiny_patch16_224")
    assert (config.fit, config.crop_ratio, config.interpolation) == ("crop", 0.9, "bicubic")
    assert config.mean == (0.5, 0.5, 0.5)


def test_what_the_configuration_says_counts() -> None:
    config, known = image("torchvision:resnet18", size=[96, 96], fit="stretch", mean=[0.5])
    assert (config.size, config.fit, config.crop_ratio) == ((96, 96), "stretch", 1.0)
    assert (config.mean, config.std) == ((0.5,), (1.0,))  # one goes with the other
    assert known.taken == ("interpolation",)
    assert image("torchvision:resnet18", channels=1)[0].mean == (0.0,)


@pytest.mark.parametrize(
    "entry", ["torchvision:raft_small", "torchvision:no_such", "timm:no_such", "model.py:build"]
)
def test_others_say_nothing(entry: str) -> None:
    config, known = image(entry)
    assert config.size == (224, 224) and known.taken == ()
