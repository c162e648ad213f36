"""Lazy modules get their shapes from the first sample."""

from pathlib import Path

import pytest
import torch

from pipeline.config.file import load_config
from pipeline.errors import UsageError
from pipeline.project.entries import build_model
from pipeline.project.lazy import by_first_sample
from pipeline.project.weights import save_weights

MODELS = """
from torch import nn


def convolutions():
    return nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    )


def rows():
    return nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.LazyLinear(2))


class Unreached(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.other = nn.LazyLinear(2), nn.LazyLinear(2)

    def forward(self, x):
        return self.used(x)
"""
PICTURES = '[input]\nkind = "image"\nsize = [8, 8]\n'
ROWS = '[input]\nkind = "tensor"\nshapes = { x = ["batch", 5] }\n'


def project(folder: Path, model: str, data: str) -> Path:
    (folder / "pipeline.toml").write_text(f'[model]\nentry = "models.py:{model}"\n{data}')
    (folder / "models.py").write_text(MODELS)
    return folder


@pytest.mark.parametrize(
    ("model", "data", "first"),
    [("convolutions", PICTURES, (4, 3, 3, 3)), ("rows", ROWS, (8, 5))],
)
def test_shapes_come_from_the_first_sample(
    tmp_path: Path, model: str, data: str, first: tuple[int, ...]
) -> None:
    config = load_config(project(tmp_path, model, data))
    torch.manual_seed(0)
    built = build_model(config, by_first_sample(config))
    assert built[0].weight.shape == first
    assert not built[1].num_batches_tracked
    save_weights(built, tmp_path / "w.safetensors")
    config = load_config(tmp_path, ["model.weights=w.safetensors"])
    again = build_model(config, by_first_sample(config))
    for name, tensor in built.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_a_lazy_module_that_nothing_calls_is_named(tmp_path: Path) -> None:
    config = load_config(project(tmp_path, "Unreached", ROWS))
    with pytest.raises(UsageError, match=r"other\.weight of the model has no shape"):
        build_model(config, by_first_sample(config))
