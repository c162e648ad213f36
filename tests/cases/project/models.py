"""Small models, each with one condition that exporters, quantizers or verifiers stumble over."""

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset


class Drawn(Dataset):
    """`count` samples, each drawn with a generator of its own."""

    def __init__(self, draw, count=48):
        self.draw, self.count = draw, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return self.draw(np.random.default_rng(index))


def sets(draw):
    return {"train": Drawn(draw), "validation": Drawn(draw)}


def floats(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


# Signatures


class PictureAndAge(nn.Module):
    def __init__(self):
        super().__init__()
        self.see, self.say = nn.Conv2d(3, 8, 3, 2), nn.Linear(10, 3)

    def forward(self, picture, age):
        return self.say(torch.cat([self.see(picture).mean((2, 3)), age], 1))


def picture_and_age():
    def draw(rng):
        pixels = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
        return {"age": floats(rng, 2), "picture": pixels}, int(rng.integers(3))

    return sets(draw)


class Anchored(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x, anchors):
        return self.layer(x) @ anchors.T


def anchored():
    """Two kinds of anchors, which no batch may mix."""
    both = [floats(np.random.default_rng(seed), 5, 8) for seed in (1, 2)]
    return sets(lambda rng: ((floats(rng, 8), both[int(rng.integers(2))]), 0))


class Recurrent(nn.Module):
    """Time first; a state comes in and goes out."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(5, 7)

    def forward(self, x, h0):
        return self.cell(x, h0)


def recurrent():
    return sets(lambda rng: ((floats(rng, int(rng.integers(5, 9)), 5), floats(rng, 1, 7)), 0))


class Bags(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag, self.out = nn.EmbeddingBag(50, 8), nn.Linear(8, 1)

    def forward(self, ids, offsets):
        return self.out(self.bag(ids, offsets))


class Detector(nn.Module):
    """As many boxes as there are, of one picture at a time."""

    def __init__(self):
        super().__init__()
        self.look = nn.Conv2d(3, 5, 8, 8)

    def forward(self, picture):
        from torchvision.ops import nms

        cells = self.look(picture)[0].flatten(1).T
        corner = torch.sigmoid(cells[:, :2]) * 32
        boxes = torch.cat([corner, corner + 8 * torch.sigmoid(cells[:, 2:4])], 1)
        kept = nms(boxes, torch.sigmoid(cells[:, 4]), 0.3)
        return boxes[kept], torch.sigmoid(cells[:, 4])[kept], torch.zeros_like(kept)


def pictures():
    return sets(lambda rng: (rng.integers(0, 256, (32, 40, 3), dtype=np.uint8), 0))


class Constants(nn.Module):
    """A parameter, a scalar and a buffer among the outputs."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 4)
        self.register_buffer("scale", torch.tensor([1.0, 2.0]))

    def forward(self, x):
        return {
            "y": self.layer(x),
            "temperature": self.layer.bias.mean(),
            "weight": self.layer.weight,
            "scale": self.scale,
            "half": 0.5,
        }


class PassesThrough(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)

    def forward(self, x, ids):
        y = self.layer(x)
        return {"score": y, "again": y, "ids": ids, "x": x}


@dataclasses.dataclass
class Step:
    logits: torch.Tensor
    loss: torch.Tensor | None
    past: tuple[dict[str, torch.Tensor], ...]


class Nested(nn.Module):
    """Nested dicts in, a dataclass with nested dicts and None out."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(8, 4), nn.Linear(4, 3)

    def forward(self, x, past):
        key = torch.relu(self.one(x)) + past[0]["key"]
        return Step(self.two(key), None, ({"key": key, "value": past[0]["value"] * 2},))


def nested():
    def draw(rng):
        return {"x": floats(rng, 8), "past": ({"key": floats(rng, 4), "value": floats(rng, 4)},)}, 0

    return sets(draw)


# Domains


class Text(nn.Module):
    """Attention over padded tokens, masked with -1e9 and the smallest float."""

    def __init__(self):
        super().__init__()
        self.emb, self.qkv, self.head = nn.Embedding(50, 32), nn.Linear(32, 96), nn.Linear(32, 4)

    def forward(self, tokens, mask):
        batch, length = tokens.shape
        q, k, v = self.qkv(self.emb(tokens)).reshape(batch, length, 3, 32).unbind(2)
        score = q @ k.transpose(1, 2) / 32**0.5 + (1.0 - mask[:, None, :].float()) * -1e9
        later = torch.ones(length, length).triu(1).bool()
        score = score.masked_fill(later, torch.finfo(torch.float32).min)
        return self.head((score.softmax(-1) @ v).mean(1))


def text():
    def draw(rng):
        mask = (np.arange(10) < rng.integers(1, 11)).astype(np.int64)
        return (rng.integers(0, 50, 10), mask), 0

    return sets(draw)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(16, 3)

    def forward(self, x, padding):
        return self.head(self.encoder(x, src_key_padding_mask=padding)[:, 0])


def padded():
    return sets(lambda rng: ((floats(rng, 9, 16), np.arange(9) >= rng.integers(1, 10)), 0))


class Categories(nn.Module):
    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, 4) for size in (10, 50, 900))
        self.out = nn.Linear(12, 1)

    def forward(self, ids):
        return self.out(torch.cat([table(ids[:, i]) for i, table in enumerate(self.tables)], 1))


def categories():
    return sets(lambda rng: (np.array([rng.integers(0, n) for n in (10, 50, 900)]), 0))


class Kept(nn.Module):
    """Boxes come in; those that overlap go."""

    def forward(self, boxes, scores):
        from torchvision.ops import nms

        kept = nms(boxes.flatten(0, 1), scores.flatten(), 0.5)
        return boxes.flatten(0, 1)[kept], scores.flatten()[kept]


def boxes():
    def draw(rng):
        corner, size = rng.uniform(0, 50, (6, 2)), rng.uniform(5, 20, (6, 2))
        both = np.concatenate([corner, corner + size], 1).astype(np.float32)
        return (both, rng.uniform(size=6).astype(np.float32)), 0

    return sets(draw)


class Waves(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv1d(1, 4, 64, 32)

    def forward(self, wave):
        return self.layer(wave.float()[:, None] / 32768).relu().mean(2)


def waves():
    return sets(lambda rng: ((3000 * rng.normal(size=8000)).astype(np.int16), 0))


# Code


class Steps(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.round(x.clamp(0, 1) * 15) / 15

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * ((x >= 0) & (x <= 1))


class Stepped(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.two(Steps.apply(self.one(x)))


class Writes(nn.Module):
    """Into its own input, through a view as well."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)

    def forward(self, x):
        x[..., :2].mul_(0.5)
        last = x[..., 7]
        last += 1.0
        return self.layer(x), x


class Clamped(nn.Module):
    """With a statement that torch.fx takes for dead code."""

    def __init__(self):
        super().__init__()
        self.look, self.out = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 3)

    def forward(self, x):
        h = self.look(x)
        h.clamp_(max=0.1)
        return self.out(h.mean((2, 3)))


class Caches(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)
        self.cache = {}

    def forward(self, x):
        if x.shape[1] not in self.cache:
            self.cache[x.shape[1]] = torch.linspace(0, 1, x.shape[1])
        return self.layer(x + self.cache[x.shape[1]])


class Averages(nn.Module):
    """Of what it has seen: its forward changes a buffer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)
        self.register_buffer("centre", torch.zeros(8))

    def forward(self, x):
        self.centre.mul_(0.9).add_(0.1 * x.mean(0))
        return self.layer(x - self.centre)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)

    def forward(self, x, scale=None):
        return self.layer(x) if scale is None else self.layer(x) * scale


def with_none():
    return sets(lambda rng: ({"x": floats(rng, 8), "scale": None}, 0))


# Operators


class Normed(nn.Module):
    """Weights that are computed in each call, in five ways."""

    def __init__(self):
        super().__init__()
        new, old = nn.utils.parametrizations, nn.utils
        self.a = old.weight_norm(nn.Linear(8, 8))
        self.b = new.weight_norm(nn.Linear(8, 8))
        self.c = old.spectral_norm(nn.Linear(8, 8))
        self.d = new.orthogonal(nn.Linear(8, 8))
        self.e = nn.Linear(8, 3)
        torch.nn.utils.prune.l1_unstructured(self.e, "weight", 0.5)

    def forward(self, x):
        return self.e(self.d(torch.relu(self.c(self.b(torch.relu(self.a(x)))))))


class Shared(nn.Module):
    """One convolution, a batch norm for each scale."""

    def __init__(self):
        super().__init__()
        self.shared, self.out = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(8, 3)
        self.norms = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(2))
        for power, norm in enumerate(self.norms):
            norm.running_var.fill_(10.0 ** (2 * power - 1))

    def forward(self, x):
        levels = (x, F.max_pool2d(x, 2))
        pairs = zip(self.norms, levels, strict=True)
        return self.out(sum(norm(self.shared(y)).relu().mean((2, 3)) for norm, y in pairs))


class Upward(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 8, 3, 2, 1), nn.ConvTranspose2d(8, 4, 4, 2, 1, groups=4)

    def forward(self, x):
        return self.up(torch.relu(self.down(x)))


class Spectrum(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.rand(3, 12, 7, 2))
        self.layer = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        freq = torch.fft.rfft2(x, norm="ortho") * torch.view_as_complex(self.gain)
        return self.layer(torch.fft.irfft2(freq, s=(12, 12), norm="ortho"))


def planes():
    return sets(lambda rng: (rng.uniform(size=(3, 12, 12)).astype(np.float32), 0))


class Projected(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(5, 12, proj_size=6, batch_first=True)

    def forward(self, x):
        return self.cell(x)[0]


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 3))

    def forward(self, x):
        return self.layers(x.to(torch.bfloat16)).float()


class Chaotic(nn.Module):
    """The logistic map, which doubles an error in each step: 60 steps leave nothing of float32."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)

    def forward(self, x):
        y = torch.sigmoid(self.layer(x))
        for _ in range(60):
            y = 3.99 * y * (1 - y)
        return y


def rows():
    return sets(lambda rng: (floats(rng, 8), 0))


def rows_and_ids():
    return sets(lambda rng: ((floats(rng, 8), rng.integers(0, 9)), 0))


def lazy():
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))


def compiled():
    return torch.compile(nn.Sequential(nn.Linear(8, 3), nn.ReLU()))


def half():
    return Half().bfloat16()


def pooled():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, 3)
    )
