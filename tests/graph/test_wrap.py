"""The graph around the user's model: pictures as Pillow has them, in every form of the module."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pipeline.config import InputConfig
from pipeline.errors import UsageError
from pipeline.graph.preprocess import Preprocess
from pipeline.graph.wrap import flatten, parameter_names

SHAPES = [(32, 48), (100, 31), (31, 100), (333, 501), (7, 64), (1, 1), (1, 50), (64, 96)]
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def preprocess(fit: str) -> Preprocess:
    config = InputConfig(kind="image", size=(32, 48), fit=fit, mean=MEAN, std=STD)  # type: ignore[arg-type]
    return Preprocess(config).eval()


def picture(height: int, width: int, count: int = 1) -> torch.Tensor:
    rng = np.random.default_rng(height * width)
    return torch.from_numpy(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def by_pillow(image: torch.Tensor, fit: str) -> np.ndarray:
    """What Pillow makes of it, with its own cropping and resizing."""
    height, width = image.shape[1:3]
    box = (0, 0, width, height)
    if fit == "crop":
        rows = max(1, min(height, width * 32 // 48))
        columns = max(1, min(width, height * 48 // 32))
        left, top = (width - columns) // 2, (height - rows) // 2
        box = (left, top, left + columns, top + rows)
    planes = []
    for channel in range(3):  # mode F: Pillow rounds pixels of 8 bits between its two passes
        plane = Image.fromarray(image[0, :, :, channel].numpy().astype(np.float32))
        planes.append(np.asarray(plane.crop(box).resize((48, 32), Image.Resampling.BILINEAR)))
    pixels = np.stack(planes) / 255
    return (pixels - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("shape", SHAPES)
def test_pixels_are_as_pillow_resizes_them(fit: str, shape: tuple[int, int]) -> None:
    image = picture(*shape)
    given = preprocess(fit)(image)[0].numpy()
    np.testing.assert_allclose(given, by_pillow(image, fit), rtol=0, atol=2e-5)


@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_a_script_follows_every_size(fit: str) -> None:
    module = preprocess(fit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        scripted = torch.jit.script(module)
    for shape in SHAPES:
        image = picture(*shape, count=3)
        assert torch.equal(scripted(image), module(image))


@pytest.mark.parametrize("given", [None, "three", [], {"a": None}, 3.0])
def test_what_is_no_tensor_is_refused(given: object) -> None:
    with pytest.raises(UsageError, match=r"The model returned (a str|no)"):
        flatten(given)


def test_flatten_keeps_the_order() -> None:
    one, two = torch.ones(1), torch.zeros(1)
    assert flatten({"b": one, "a": two}) == (one, two)
    assert flatten([one, two]) == (one, two)
    assert flatten(one) == (one,)


def test_parameters_give_the_names() -> None:
    class Two(nn.Module):
        def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return tokens * mask

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        scripted = torch.jit.script(Two())
    assert parameter_names(Two(), 2) == ("tokens", "mask")
    assert parameter_names(scripted, 2) == ("tokens", "mask")
    assert parameter_names(Two(), 3) == ("input_0", "input_1", "input_2")
