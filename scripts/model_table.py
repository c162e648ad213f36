"""Takes architectures of many families, with random weights, through export and verify.

    python scripts/model_table.py              all of them, into docs/models.md
    python scripts/model_table.py resnet18     some, onto the screen

Random weights are enlivened first: batch norms see some pictures once, so that signals keep their
size, and layer scales of 1e-6, which would leave whole blocks out of every answer, become 0.5.
"""

import argparse
import gc
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import pipeline.export
import pipeline.verify
from pipeline.artifacts import read_index, read_json, write_index
from pipeline.config import Config, parse_config
from pipeline.errors import PipelineError
from pipeline.progress import Silent
from pipeline.project import build_model
from pipeline.samples import load_samples
from pipeline.stage import Job
from pipeline.weights import WEIGHTS, save_weights
from pipeline.wrap import Preprocess

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
BEGIN, END = "<!-- table -->", "<!-- /table -->"
SAMPLES = 32  # synthetic pictures for each verdict
BATCH = 16  # others, that batch norms see
FORMATS = ("torchscript", "onnx")
CLASSES = 10


@dataclass(frozen=True)
class Candidate:
    """`size` is the side of the picture that the model sees."""

    entry: str
    family: str
    size: int = 64
    args: dict[str, Any] = field(default_factory=dict)


CANDIDATES = (
    Candidate("torchvision:resnet18", "convolutional, residual"),
    Candidate("torchvision:vgg11_bn", "convolutional, plain", 32),
    Candidate("torchvision:densenet121", "convolutional, dense"),
    Candidate("torchvision:googlenet", "convolutional, branches", 96, {"init_weights": False}),
    Candidate("torchvision:squeezenet1_1", "convolutional, squeezed"),
    Candidate("torchvision:regnet_y_400mf", "convolutional, grouped"),
    Candidate("timm:repvgg_a0", "convolutional, reparametrized"),
    Candidate("timm:hrnet_w18_small", "convolutional, many resolutions"),
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
    Candidate("timm:maxvit_rmlp_pico_rw_256", "hybrid", 256),
    Candidate("timm:edgenext_xx_small", "hybrid"),
    Candidate("timm:poolformer_s12", "token mixing by pooling"),
    Candidate("timm:mixer_s32_224", "token mixing by perceptrons", 224),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="architectures; all by default")
    names = parser.parse_args().names
    chosen = [c for c in CANDIDATES if not names or c.entry.partition(":")[2] in names]
    torch.set_num_threads(1)
    rows = []
    for candidate in chosen:
        started = time.perf_counter()
        rows.append(row(candidate))
        print(f"{time.perf_counter() - started:5.0f} s  {rows[-1]}", flush=True)
        gc.collect()
    if not names:
        write(rows)


def row(candidate: Candidate) -> str:
    """One line of the table: each format is exported and judged by itself."""
    cells, remarks = [], []
    for format in FORMATS:
        cell, remark = attempt(candidate, format)
        cells.append(cell)
        if remark and remark not in remarks:
            remarks.append(remark)
    entry, family, size = candidate.entry, candidate.family, candidate.size
    said = "; ".join(remarks).replace("|", "/")
    return f"| {entry} | {family} | {size} | {cells[0]} | {cells[1]} | {said} |"


def attempt(candidate: Candidate, format: str) -> tuple[str, str]:
    """(how and how well, what stood in the way or was worth a warning)."""
    with tempfile.TemporaryDirectory() as folder:
        config = config_of(candidate, format, Path(folder))
        train, scratch = Path(folder, "train"), Path(folder, "scratch")
        quantize = Path(folder, "quantize")
        for made in (train, scratch, quantize):
            made.mkdir()
        write_index(quantize, [])
        torch.manual_seed(0)
        model = build_model(config)
        enliven(config, model)
        save_weights(model, train / WEIGHTS)
        report = Silent()
        inputs = {"train": train, "quantize": quantize}
        try:
            for name, stage in (("export", pipeline.export.run), ("verify", pipeline.verify.run)):
                out = Path(folder, name)
                out.mkdir()
                stage(Job(config, inputs, out, scratch, report))
                inputs[name] = out
        except PipelineError as error:
            return "no", " ".join(error.message.split())
        artifact = read_index(inputs["export"])[0]
        how = artifact.details.get("capture") or artifact.details.get("exporter")
        (judged,) = read_json(inputs["verify"] / "verdict.json")["rows"]
        reasons = judged["reasons"] if judged["verdict"] != "pass" else []
        fallback = [text for text in report.warnings if "made by" in text]
        return f"{how}, {judged['verdict']}, {judged['max_abs']:.1e}", "; ".join(
            [*fallback, *reasons]
        )


def config_of(candidate: Candidate, format: str, root: Path) -> Config:
    data = {
        "name": "table",
        "model": {"entry": candidate.entry, "args": {"num_classes": CLASSES, **candidate.args}},
        "input": {
            "kind": "image",
            "size": [candidate.size, candidate.size],
            "mean": [0.5],
            "std": [0.25],
        },
        "export": {"formats": [format]},
        "quantize": {"recipes": []},
        "verify": {"samples": SAMPLES, "batch_size": 8},
    }
    return parse_config(data, root / "pipeline.toml")


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


def write(rows: list[str]) -> None:
    head = [
        "| model | family | pixels | TorchScript | ONNX | remarks |",
        "|---|---|---|---|---|---|",
    ]
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    table = "\n".join([BEGIN, *head, *rows, END])
    PAGE.write_text(f"{before}{table}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
