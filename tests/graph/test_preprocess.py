"""Pictures are fitted and resized as those who trained with them did it."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2 as transforms

from pipeline.config import InputConfig
from pipeline.graph.preprocess import Preprocess

SHAPES = [(30, 40), (41, 30), (61, 97), (33, 33), (200, 91), (24, 24)]


def preprocess(**keys: Any) -> Preprocess:
    return Preprocess(InputConfig.model_validate({"kind": "image", "size": (24, 24), **keys}))


def picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height * width)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    return coarse.repeat(8, 0).repeat(8, 1)[:height, :width].astype(np.uint8)


def of(module: Preprocess, pixels: np.ndarray) -> torch.Tensor:
    scripted = torch.jit.script(module)
    batch = torch.from_numpy(pixels[None])
    answer: torch.Tensor = module(batch)
    assert torch.equal(scripted(batch), answer)
    return answer[0]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize_and_crop_are_torchvisions(shape: tuple[int, int], interpolation: str) -> None:
    """Of tensors, which torchvision resizes by the same kernels: to the last bit but one."""
    pixels = picture(*shape)
    module = preprocess(fit="crop", crop_ratio=0.875, interpolation=interpolation)
    mode = InterpolationMode(interpolation)
    chain = transforms.Compose(
        [
            transforms.ToDtype(torch.float32, scale=True),
            transforms.Resize(int(24 / 0.875), mode, antialias=True),
            transforms.CenterCrop(24),
        ]
    )
    expected = chain(torch.from_numpy(pixels).permute(2, 0, 1))
    expected = expected.clamp(0, 1)
    torch.testing.assert_close(of(module, pixels), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "interpolation, filter_",
    [
        ("bilinear", Image.Resampling.BILINEAR),
        ("bicubic", Image.Resampling.BICUBIC),
        ("nearest", Image.Resampling.NEAREST),
    ],
)
def test_stretching_is_pillows(
    shape: tuple[int, int], interpolation: str, filter_: Image.Resampling
) -> None:
    """But for Pillow's rounding to whole numbers between its two passes, and its cutting off there,
    which shows at the sharp edges of a cubic."""
    pixels = picture(*shape)
    given = of(preprocess(interpolation=interpolation), pixels)
    wanted = np.asarray(Image.fromarray(pixels).resize((24, 24), filter_)).transpose(2, 0, 1)
    most = {"nearest": 1e-4, "bilinear": 1.01, "bicubic": 6.0}[interpolation]
    assert np.abs(given.numpy() * 255 - wanted).max() <= most
    assert np.abs(given.numpy() * 255 - wanted).mean() <= 0.4


@pytest.mark.parametrize("shape", SHAPES)
def test_a_letterbox_keeps_all_of_the_picture(shape: tuple[int, int]) -> None:
    pixels, (height, width) = picture(*shape), shape
    given = of(preprocess(fit="letterbox", pad=51, antialias=False), pixels)
    assert given.shape == (3, 24, 24)
    scale = min(24 / height, 24 / width)
    rows, columns = (max(1, int(length * scale + 0.5)) for length in shape)
    top, left = (24 - rows) // 2, (24 - columns) // 2
    inner = given[:, top : top + rows, left : left + columns]
    planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    wanted = torch.nn.functional.interpolate(planes, (rows, columns), mode="bilinear")[0]
    torch.testing.assert_close(inner, wanted, rtol=0, atol=1e-6)
    border = torch.ones(24, 24, dtype=torch.bool)
    border[top : top + rows, left : left + columns] = False
    assert torch.equal(given[:, border], torch.full((3, int(border.sum())), 51 / 255))


def test_the_whole_crop_keeps_the_ratio() -> None:
    pixels = np.zeros((10, 4, 3), np.uint8)
    pixels[3:7] = 255  # the middle, as high as it is wide
    assert torch.equal(of(preprocess(fit="crop"), pixels), torch.ones(3, 24, 24))
    assert torch.equal(of(preprocess(fit="crop"), pixels.transpose(1, 0, 2)), torch.ones(3, 24, 24))


def test_what_a_caller_hands_over_and_a_model_was_trained_with() -> None:
    pixels = picture(30, 40)
    plain = of(preprocess(), pixels)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    assert torch.equal(of(preprocess(layout="nchw"), planes), plain)
    assert torch.equal(of(preprocess(order="bgr"), pixels), plain.flip(0))
    wide = of(preprocess(pixels="uint16"), pixels.astype(np.int32) * 257)
    torch.testing.assert_close(wide, plain, rtol=0, atol=1e-6)
    real = of(preprocess(pixels="float32"), pixels.astype(np.float32) / 255)
    torch.testing.assert_close(real, plain, rtol=0, atol=1e-6)
    five = np.concatenate([pixels, pixels[..., :2]], 2)
    assert torch.equal(of(preprocess(channels=5), five)[:3], plain)
    shifted = of(preprocess(mean=[0.5], std=[0.25]), pixels)
    torch.testing.assert_close(shifted, (plain - 0.5) / 0.25)
