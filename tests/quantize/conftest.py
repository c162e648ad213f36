"""Projects exported once a session."""

import shutil
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.config.file import load_config
from pipeline.project.weights import save_weights
from tests.quantize.quantize_cases import DIGITS, MODELS, PROJECTS, Exported, export, trained


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """Exports a project of `PROJECTS` once a session."""
    made: dict[str, Exported] = {}

    def make(name: str) -> Exported:
        if name not in made:
            folder = tmp_path_factory.mktemp(f"the {name}")
            (folder / "pipeline.toml").write_text(PROJECTS[name])
            (folder / "models.py").write_text(MODELS)
            made[name] = export(folder)
        return made[name]

    return make


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The example, narrower and smaller, trained for a moment."""
    folder = tmp_path_factory.mktemp("the digits")
    for file in DIGITS.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    overrides = (
        *("model.args.width=8", "input.size=[16,16]"),
        *("quantize.calibration_samples=64", "quantize.gate=false"),
    )
    config = load_config(folder, overrides)
    torch.manual_seed(0)
    model = trained(config)
    (folder / "train").mkdir()
    save_weights(model, folder / "train" / "weights.safetensors")
    return export(folder, *overrides)


@pytest.fixture(scope="session")
def hard(digits: Exported, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The digits with one channel that is a thousand times as loud as the others."""
    folder = tmp_path_factory.mktemp("hard")
    for file in digits.folder.glob("*.*"):
        if file.is_file():
            shutil.copy(file, folder)
    (folder / "train").mkdir()
    weights = load_file(digits.folder / "train" / "weights.safetensors")
    weights["4.weight"][0] *= 1000
    weights["4.bias"][0] *= 1000
    weights["7.weight"][:, 0] /= 1000
    save_file(weights, folder / "train" / "weights.safetensors")
    return export(folder, *digits.overrides)
