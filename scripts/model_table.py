"""Takes architectures of many families, with random weights, through export, quantize and verify.

    python scripts/model_table.py              all of them, into docs/models.md
    python scripts/model_table.py resnet18     some: their rows replace those that are there

Random weights are enlivened first: batch norms see some pictures once, so that signals keep their
size, and layer scales of 1e-6, which would leave whole blocks out of every answer, become 0.5.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.config import Config
from pipeline.config.file import CONFIG_NAME, parse_config
from pipeline.errors import VerdictError
from pipeline.graph.preprocess import Preprocess
from pipeline.project.entries import build_model
from pipeline.project.samples import load_samples
from pipeline.project.weights import WEIGHTS, save_weights
from pipeline.workspace.artifacts import read_index, read_json

PIPELINE = Path(sys.executable).with_name("pipeline")  # the installed command
PAGE = Path(__file__).parent.parent / "docs" / "models.md"
SAMPLES = 32  # synthetic pictures for each verdict, and as many others for calibration
BATCH = 16  # others, that batch norms see
CLASSES = 10
RECIPES = {
    "torchscript": ("int8-static", "int8-dynamic"),
    "onnx": ("int8-static", "int8-dynamic", "fp16"),
}
RUNTIME = {"torchscript": "torchscript", "onnx": "onnxruntime"}
COLUMNS = [(format, recipe) for format in RECIPES for recipe in ("fp32", *RECIPES[format])]


@dataclass(frozen=True)
class Candidate:
    """`size` is the side of the picture that the model sees."""

    entry: str
    family: str
    size: int = 64
    args: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.entry.partition(":")[2]


CANDIDATES = (
    Candidate("torchvision:resnet18", "convolutional, residual"),
    Candidate("torchvision:vgg11_bn", "convolutional, plain", 32),
    Candidate("torchvision:densenet121", "convolutional, dense"),
    Candidate("torchvision:googlenet", "convolutional, branches", 96, {"init_weights": False}),
    Candidate("torchvision:squeezenet1_1", "convolutional, squeezed"),
    Candidate("torchvision:regnet_y_400mf", "convolutional, grouped"),
    Candidate("timm:repvgg_a0", "convolutional, reparametrized"),
    Candidate("torchvision:mobilenet_v2", "depthwise"),
    Candidate("torchvision:mobilenet_v3_small", "depthwise, squeeze-excite"),
    Candidate("torchvision:shufflenet_v2_x0_5", "depthwise, channel shuffle"),
    Candidate("timm:efficientnet_b0", "depthwise, squeeze-excite"),
    Candidate("timm:ghostnet_050", "depthwise, ghost features"),
    Candidate("timm:convnext_atto", "depthwise, layer norm"),
    Candidate("timm:vit_tiny_patch16_224", "attention", 96, {"img_size": 96}),
    Candidate("timm:deit_tiny_distilled_patch16_224", "attention, distilled", 96, {"img_size": 96}),
    Candidate("torchvision:swin_t", "attention, windows"),
    Candidate("timm:xcit_nano_12_p16_224", "attention, over channels", 96),
    Candidate("timm:pvt_v2_b0", "attention, pyramid"),
    Candidate("timm:mobilevit_xxs", "hybrid", 96),
    Candidate("timm:levit_128s", "hybrid", 224),
    Candidate("timm:coatnet_pico_rw_224", "hybrid", 224),
    Candidate("timm:edgenext_xx_small", "hybrid"),
    Candidate("timm:poolformer_s12", "token mixing by pooling"),
    Candidate("timm:mixer_s32_224", "token mixing by perceptrons", 224),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="architectures; all by default")
    names = parser.parse_args().names
    unknown = set(names) - {candidate.name for candidate in CANDIDATES}
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: not among the candidates")
    torch.set_num_threads(1)
    for candidate in CANDIDATES:
        if names and candidate.name not in names:
            continue
        started = time.perf_counter()
        cells = {}  # type: ignore[var-annotated]
        for format in RECIPES:
            cells |= attempt(candidate, format)
        write(candidate, cells)
        said = ", ".join(
            f"{format} {recipe} {cell.said}" for (format, recipe), cell in cells.items()
        )
        print(f"{time.perf_counter() - started:5.0f} s  {candidate.name}: {said}", flush=True)


@dataclass(frozen=True)
class Cell:
    """What the table says of one artifact, and why, where it does not pass."""

    said: str
    why: str = ""


def attempt(candidate: Candidate, format: str) -> dict[tuple[str, str], Cell]:
    """`pipeline verify` with every recipe that gets through; cells by format, recipe."""
    recipes = RECIPES[format]
    nothing = {(format, name): Cell("no") for name in recipes}
    with tempfile.TemporaryDirectory() as folder:
        project = Project(candidate, format, Path(folder))
        cells = {}
        if project.command("verify", recipes):  # something does not get through: what?
            refused = project.command("export")
            if refused:
                return nothing | {(format, "fp32"): refused}
            tried = {(format, name): project.command("quantize", (name,)) for name in recipes}
            cells = {column: cell for column, cell in tried.items() if cell}
            passing = [name for name in recipes if (format, name) not in cells]
            refused = project.command("verify", passing)
            if refused:
                return nothing | {(format, "fp32"): refused}
        scheme = read_index(project.workspace / "export")[0].details
        for row in read_json(project.workspace / "verify" / "verdict.json")["rows"]:
            cells[format, row["recipe"] or "fp32"] = judged(row, scheme, project.fallback)
        return cells


class Project:
    """A folder with a configuration and weights, on which the installed command is called."""

    def __init__(self, candidate: Candidate, format: str, root: Path) -> None:
        data = config_of(candidate, format)
        config = parse_config(data, root / CONFIG_NAME)
        torch.manual_seed(0)
        model = build_model(config)
        enliven(config, model)
        save_weights(model, root / WEIGHTS)
        data["model"]["weights"] = WEIGHTS
        (root / CONFIG_NAME).write_text(to_toml(data), encoding="utf-8")
        self.root = root
        self.workspace = root / "runs" / "table"
        self.fallback: list[str] = []

    def command(self, stage: str, recipes: Sequence[str] = ()) -> Cell | None:
        """None if it went through (a failed verdict did); else a `no` with the reason."""
        line = [str(PIPELINE), stage, "-c", str(self.root)]
        line += ["--set", f"quantize.recipes={json.dumps(recipes)}"]
        line += ["--set", "quantize.gate=false"]
        wide = os.environ | {"COLUMNS": "10000"}  # no message is broken into lines
        done = subprocess.run(line, env=wide, capture_output=True, text=True, check=False)
        said = [text.strip() for text in done.stdout.splitlines()]
        self.fallback += [text for text in said if text.startswith("! ONNX: made by")]
        if done.returncode in (0, VerdictError.exit_code):
            return None
        panel = [text.strip("│ ") for text in done.stderr.splitlines() if text.startswith("│")]
        if not panel:
            raise RuntimeError(f"{shlex.join(line)} ended with {done.returncode}: {done.stderr}")
        message, _, _ = "\n".join(panel).partition("\n\n")
        return Cell("no", one_line(message))


def judged(row: dict[str, Any], scheme: dict[str, Any], fallback: list[str]) -> Cell:
    """The verdict and the noise; for fp32 the largest error and how it was made. With reasons."""
    first, *more = row["reasons"] or [""]
    why = first + (f"; and {len(more)} more" if more else "")
    if row["recipe"]:
        noise = "exact" if row["sqnr_db"] is None else f"{row['sqnr_db']:.0f} dB"
        return Cell(f"{row['verdict']} {noise}", why)
    made = scheme.get("capture") or scheme.get("exporter")
    reasons = [one_line(text.removeprefix("! ")) for text in dict.fromkeys(fallback)]
    said = f"{row['verdict']} {row['max_abs']:.0e} ({made})"
    return Cell(said, "; ".join([*reasons, why]).strip("; "))


def one_line(message: str) -> str:
    """The message without what tells of this machine's folders."""
    said = " ".join(message.split())
    said = re.sub(r"/\S*/site-packages/", "", said)
    return re.sub(r"/\S*/(?=\S)", "", said)


def config_of(candidate: Candidate, format: str) -> dict[str, Any]:
    """The sections and keys of pipeline.toml."""
    size = [candidate.size, candidate.size]
    return {
        "name": "table",
        "model": {"entry": candidate.entry, "args": {"num_classes": CLASSES, **candidate.args}},
        "input": {"kind": "image", "size": size, "mean": [0.5], "std": [0.25]},
        "train": {"epochs": 0},
        "export": {"formats": [format]},
        "quantize": {"calibration_samples": SAMPLES, "batch_size": 8},
        "verify": {"samples": SAMPLES, "batch_size": 8, "runtimes": [RUNTIME[format]]},
    }


def to_toml(data: dict[str, Any], section: str = "") -> str:
    """TOML writes strings, numbers, booleans and lists of them as JSON does."""
    lines = [f"[{section}]"] if section else []
    lines += [f"{k} = {json.dumps(v)}" for k, v in data.items() if not isinstance(v, dict)]
    inner = [
        to_toml(v, f"{section}.{k}".lstrip(".")) for k, v in data.items() if isinstance(v, dict)
    ]
    return "\n".join([*lines, *inner]) + "\n"


def enliven(config: Config, model: nn.Module) -> None:
    """Gives random weights answers that depend on every layer.

    A channel that hardly varies would be divided by its tiny deviation, and rounding errors with
    it, as in no trained model: variances stay above a tenth of their layer's mean.
    """
    rows = [row[0] for row in load_samples(config, "train", BATCH).inputs]
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (BATCH, *rows[0].shape), np.uint8)
    # What verify asks besides samples: white noise, and pictures of one value.
    flat = [np.full_like(rows[0], value) for value in range(0, 256, 51)]
    pixels = Preprocess(config.input)(torch.from_numpy(np.stack([*rows, *noise, *flat])))
    for parameter in model.parameters():
        if parameter.ndim > 1 and not parameter.detach().any():
            nn.init.normal_(parameter, std=0.02)  # a head that starts at zero answers nothing
        if parameter.ndim and parameter.numel() > 1 and 0 < parameter.detach().abs().max() < 1e-3:
            nn.init.constant_(parameter, 0.5)
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the plain mean of what it sees
        norm.train()
        norm.register_forward_hook(keep_variance)
    with torch.no_grad():
        model(pixels)
    model.eval()


def keep_variance(norm: nn.Module, _inputs: Any, _output: Any) -> None:
    norm.running_var.clamp_(min=0.1 * norm.running_var.mean())


def write(candidate: Candidate, cells: dict[tuple[str, str], Cell]) -> None:
    """Puts one candidate's row, and its reasons, into the page, in the order of CANDIDATES."""
    said = " | ".join(cells[column].said for column in COLUMNS)
    row = f"| {candidate.entry} | {candidate.family} | {candidate.size} | {said} |"
    why = [
        f"- {candidate.entry}, {format} {recipe}: {cells[format, recipe].why.replace('|', '/')}"
        for format, recipe in COLUMNS
        if cells[format, recipe].why
    ]
    page = PAGE.read_text(encoding="utf-8")
    page = replaced(page, "table", candidate, [row])
    page = replaced(page, "reasons", candidate, why)
    PAGE.write_text(page, encoding="utf-8")


def replaced(page: str, name: str, candidate: Candidate, lines: list[str]) -> str:
    """The page with a candidate's lines between `<!-- name -->` and `<!-- /name -->` changed."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = page.partition(begin)
    block, _, after = rest.partition(end)
    known: dict[str, list[str]] = {other.entry: [] for other in CANDIDATES}
    head = []
    for line in block.splitlines():
        entry = re.match(r"(?:\| |- )(\w+:\w+)", line)
        known[entry.group(1)].append(line) if entry else head.append(line)
    known[candidate.entry] = lines
    body = [f"{line}\n" for line in [*head, *(line for some in known.values() for line in some)]]
    return f"{before}{begin}{''.join(body)}{end}{after}"


if __name__ == "__main__":
    main()
