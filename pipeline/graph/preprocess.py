"""From a picture as it is to what a model takes: the part of a graph that is written nowhere else.

Sizes follow each picture, eager, scripted and exported alike, so they are computed without a branch
on them: where one is needed, a maximum or minimum says the same. Each way to fit and to resize is a
module of its own, so that a file holds the one that it uses.
"""

import torch
from torch import Tensor, nn

from pipeline.config import ImageConfig
from pipeline.graph.files import named_in_files

LARGEST = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}


@named_in_files("wrap.Preprocess")
class Preprocess(nn.Module):
    """Pixels [batch, height, width, channels] (or channels first) of any size → float32 [batch,
    channels, h, w]: pixel / its largest value, fitted into the size, then (x - mean) / std.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        self.height, self.width = config.size
        self.channels = config.channels
        self.planes_first = config.layout == "nchw"
        self.largest = LARGEST[config.pixels]
        self.flipped = config.order == "bgr"
        self.fit = _fit_of(config)
        shape = (1, -1, 1, 1)
        self.register_buffer("mean", torch.tensor(config.mean).reshape(shape), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).reshape(shape), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        planes = image if self.planes_first else image.permute(0, 3, 1, 2)
        fitted: Tensor = self.fit(planes, self.largest)
        if self.flipped:
            fitted = fitted.flip(1)
        return (fitted - self.mean) / self.std


def _fit_of(config: ImageConfig) -> nn.Module:
    resize = _RESIZES[config.interpolation, config.antialias]()
    if config.fit == "letterbox":
        return Letterbox(config.size, resize, config.pad / 255)
    if config.fit == "stretch":
        return Stretch(config.size, resize)
    if config.crop_ratio == 1.0:
        return CentreCrop(config.size, resize)
    return ResizeAndCrop(config.size, resize, config.crop_ratio)


@named_in_files("wrap._max")
def _max(a: int, b: int) -> int:
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        found = max(a, b)
    else:  # what torch.export can follow with sizes that are not known
        found = torch.sym_max(a, b)  # type: ignore[assignment]
    return found


@named_in_files("wrap._min")
def _min(a: int, b: int) -> int:
    if torch.jit.is_scripting():  # type: ignore[attr-defined]
        found = min(a, b)
    else:  # what torch.export can follow with sizes that are not known
        found = torch.sym_min(a, b)  # type: ignore[assignment]
    return found


@named_in_files("wrap._middle")
def _middle(size: int, other: int, target: int, other_target: int) -> tuple[int, int]:
    """(start, length) of the centred part of an axis that has the target's aspect ratio.

    `size` and `target` belong to this axis, `other` and `other_target` to the other one.
    """
    length = _max(1, _min(size, other * target // other_target))
    return (size - length) // 2, length


@named_in_files("wrap._part")
def _part(planes: Tensor, top: int, rows: int, left: int, columns: int) -> Tensor:
    """By index_select: a slice with computed ends has a size that torch.export cannot prove
    positive."""
    planes = planes.index_select(2, torch.arange(rows, device=planes.device) + top)
    return planes.index_select(3, torch.arange(columns, device=planes.device) + left)


# Ways to fit: [batch, channels, rows, columns] of any type → float32 of the size, from 0 to 1


@named_in_files("wrap.Stretch")
class Stretch(nn.Module):
    """Without regard to the aspect ratio."""

    def __init__(self, size: tuple[int, int], resize: nn.Module) -> None:
        super().__init__()
        self.height, self.width = size
        self.resize = resize

    def forward(self, planes: Tensor, largest: float) -> Tensor:
        resized: Tensor = self.resize(planes.to(torch.float32) / largest, self.height, self.width)
        return resized


@named_in_files("wrap.CentreCrop")
class CentreCrop(nn.Module):
    """The largest centred part that has the target's aspect ratio."""

    def __init__(self, size: tuple[int, int], resize: nn.Module) -> None:
        super().__init__()
        self.height, self.width = size
        self.resize = resize

    def forward(self, planes: Tensor, largest: float) -> Tensor:
        height, width = planes.shape[2], planes.shape[3]
        top, rows = _middle(height, width, self.height, self.width)
        left, columns = _middle(width, height, self.width, self.height)
        part = _part(planes, top, rows, left, columns).to(torch.float32) / largest
        resized: Tensor = self.resize(part, self.height, self.width)
        return resized


@named_in_files("wrap.ResizeAndCrop")
class ResizeAndCrop(nn.Module):
    """Resized until the shorter side is `ratio` of it, then the middle: what torchvision's Resize
    and CenterCrop do, rounded as they round."""

    def __init__(self, size: tuple[int, int], resize: nn.Module, ratio: float) -> None:
        super().__init__()
        self.height, self.width = size
        # Down, as timm does; torchvision's are whole numbers but for the division.
        self.whole_height, self.whole_width = (int(length / ratio + 1e-6) for length in size)
        self.resize = resize

    def forward(self, planes: Tensor, largest: float) -> Tensor:
        height, width = planes.shape[2], planes.shape[3]
        rows = _max(self.whole_height, height * self.whole_width // width)
        columns = _max(self.whole_width, width * self.whole_height // height)
        resized: Tensor = self.resize(planes.to(torch.float32) / largest, rows, columns)
        down, right = rows - self.height, columns - self.width
        top = down // 2 + down % 4 // 3  # half of it, and a half to the even number
        left = right // 2 + right % 4 // 3
        return _part(resized, top, self.height, left, self.width)


@named_in_files("wrap.Letterbox")
class Letterbox(nn.Module):
    """All of the picture in its aspect ratio, with borders of `pad`, from 0 to 1."""

    def __init__(self, size: tuple[int, int], resize: nn.Module, pad: float) -> None:
        super().__init__()
        self.height, self.width = size
        self.resize = resize
        self.pad = pad

    def forward(self, planes: Tensor, largest: float) -> Tensor:
        height, width = planes.shape[2], planes.shape[3]
        rows = _max(1, _min(self.height, (2 * height * self.width + width) // (2 * width)))
        columns = _max(1, _min(self.width, (2 * width * self.height + height) // (2 * height)))
        resized: Tensor = self.resize(planes.to(torch.float32) / largest, rows, columns)
        top, left = (self.height - rows) // 2, (self.width - columns) // 2
        borders = [left, self.width - columns - left, top, self.height - rows - top]
        return torch.constant_pad_nd(resized, borders, self.pad)


# Ways to resize. F.interpolate is each of these calls among many others, and scripting it would
# write them all into the file, some of which older releases lack.


@named_in_files("wrap.BilinearAntialiased")
class BilinearAntialiased(nn.Module):
    """As Pillow does it."""

    def forward(self, x: Tensor, rows: int, columns: int) -> Tensor:
        size = [rows, columns]
        resized: Tensor = torch.ops.aten._upsample_bilinear2d_aa(x, size, False, None, None)
        return resized


@named_in_files("wrap.BicubicAntialiased")
class BicubicAntialiased(nn.Module):
    """As Pillow does it, but that Pillow cuts off what goes beyond the ends in each direction."""

    def forward(self, x: Tensor, rows: int, columns: int) -> Tensor:
        size = [rows, columns]
        resized: Tensor = torch.ops.aten._upsample_bicubic2d_aa(x, size, False, None, None)
        return resized.clamp(0.0, 1.0)


@named_in_files("wrap.Bilinear")
class Bilinear(nn.Module):
    """As OpenCV does it."""

    def forward(self, x: Tensor, rows: int, columns: int) -> Tensor:
        size = [rows, columns]
        resized: Tensor = torch.ops.aten.upsample_bilinear2d(x, size, False, None, None)
        return resized


@named_in_files("wrap.Bicubic")
class Bicubic(nn.Module):
    """As OpenCV does it: its coefficient is -0.75, where antialiased ones have -0.5."""

    def forward(self, x: Tensor, rows: int, columns: int) -> Tensor:
        size = [rows, columns]
        resized: Tensor = torch.ops.aten.upsample_bicubic2d(x, size, False, None, None)
        return resized.clamp(0.0, 1.0)


@named_in_files("wrap.Nearest")
class Nearest(nn.Module):
    """The pixel whose middle is nearest, as Pillow does it; found with whole numbers, so that no
    runtime rounds to its neighbour."""

    def forward(self, x: Tensor, rows: int, columns: int) -> Tensor:
        down = torch.arange(rows, device=x.device) * 2 + 1
        right = torch.arange(columns, device=x.device) * 2 + 1
        x = x.index_select(2, down * x.shape[2] // (2 * rows))
        return x.index_select(3, right * x.shape[3] // (2 * columns))


_RESIZES: dict[tuple[str, bool], type[nn.Module]] = {
    ("bilinear", True): BilinearAntialiased,
    ("bilinear", False): Bilinear,
    ("bicubic", True): BicubicAntialiased,
    ("bicubic", False): Bicubic,
    ("nearest", True): Nearest,
    ("nearest", False): Nearest,
}
