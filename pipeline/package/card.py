"""The model card, a Markdown page made of the manifest, and of why its first artifact is first."""

from collections.abc import Iterable, Sequence

from pipeline.bundle.manifest import Artifact, Input, Manifest, Output, Tensor

ANY_SIZE = "any"
SHOWN_LABELS = 12


def model_card(manifest: Manifest, labels: Sequence[str] | None, first: str) -> str:
    """README.md of the bundle. `first` is Markdown for its head: what ships first and why, without
    a time, since timings differ from run to run; `MODEL-CARD.md` has it with the time."""
    sections = (
        _title(manifest, first),
        _signature(manifest, labels),
        _artifacts(manifest),
        _accuracy(manifest),
        _use(manifest, labels),
        _golden(manifest),
        _origin(manifest),
    )
    return "\n".join(line for section in sections for line in section)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; cells are taken as plain text."""
    lines = [header, ["---"] * len(header), *([plain(cell) for cell in row] for row in rows)]
    return [*("| " + " | ".join(line) + " |" for line in lines), ""]


def plain(text: str) -> str:
    """Text of the user's, so that it is neither markup nor a second table cell."""
    line = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|" else letter for letter in line)


def figure(value: float | None, spec: str) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else format(value, spec)


def _title(manifest: Manifest, first: str) -> list[str]:
    says = {
        "pass": "**Verdict: pass.** Every artifact here answers as the PyTorch model does.",
        "fail": "**Verdict: fail.** Not every artifact here answers as the PyTorch model does; "
        "they were packed all the same, on demand. Do not ship those that fail.",
        "inconclusive": "**Verdict: inconclusive.** Nobody has proven that these artifacts answer "
        "as the PyTorch model does.",
    }
    head = [f"# {manifest.name} {manifest.version}", ""]
    if manifest.description:
        head += [*(plain(line) for line in manifest.description.split("\n")), ""]
    return [*head, says[manifest.verdict], "", first, ""]


def _signature(manifest: Manifest, labels: Sequence[str] | None) -> list[str]:
    lines = ["## What goes in", "", *_tensors(manifest.inputs)]
    if any(tensor.kind == "image" for tensor in manifest.inputs):
        lines += [
            "Hand over the pixels as they are: resizing and normalising are part of the model.",
            "",
        ]
    lines += ["## What comes out", "", *_tensors(manifest.outputs)]
    if labels:
        more = f" and {len(labels) - SHOWN_LABELS} more" if len(labels) > SHOWN_LABELS else ""
        shown = ", ".join(plain(label) for label in labels[:SHOWN_LABELS])
        file = manifest.outputs[0].labels
        lines += [f"{len(labels)} classes, one a line in `{file}`: {shown}{more}.", ""]
    return lines


def _tensors(tensors: Sequence[Tensor]) -> list[str]:
    rows = [
        (
            tensor.name,
            tensor.dtype,
            " × ".join(ANY_SIZE if axis is None else str(axis) for axis in tensor.shape),
            tensor.meaning,
        )
        for tensor in tensors
    ]
    return table(("name", "type", "shape", "meaning"), rows)


def _artifacts(manifest: Manifest) -> list[str]:
    rows = [
        (
            artifact.id,
            artifact.file,
            artifact.precision,
            "any CPU" if artifact.made_for == "any" else artifact.made_for,
            f"{artifact.bytes:,}",
            artifact.verdict,
        )
        for artifact in manifest.artifacts
    ]
    header = ("artifact", "file", "precision", "made for", "bytes", "verdict")
    order = (
        "In the order of preference: a program takes the first one that passed, that was made for "
        "its CPU and that it can run."
    )
    return ["## Artifacts", "", order, "", *table(header, rows)]


def _accuracy(manifest: Manifest) -> list[str]:
    verified = manifest.verified
    what = "samples of noise" if verified.synthetic else "validation samples"
    flags = f" ({', '.join(verified.flags)})" if verified.flags else ""
    threads = "1 thread" if verified.threads == 1 else f"{verified.threads} threads"
    lines = [
        "## Accuracy",
        "",
        f"Measured on {verified.samples} {what}, {threads}, {verified.arch}{flags}, against the "
        "model in PyTorch (eager, fp32).",
    ]
    metric = verified.metric
    if metric is not None and metric.reference is not None:
        lines += [f"There the model's {plain(metric.name)} is {metric.reference:.4f}."]
    name = metric.name if metric is not None else "metric"
    header = (
        *("artifact", "runtime", name, "worse by", "same first class"),
        *("largest error", "SQNR dB", "verdict"),
    )
    rows = [row for artifact in manifest.artifacts for row in _results(artifact)]
    return [*lines, "", *table(header, rows), *_reasons(manifest)]


def _results(artifact: Artifact) -> list[list[str]]:
    return [
        [
            artifact.id,
            result.runtime,
            figure(result.metric, ".4f"),
            figure(result.drop, "+.4f"),
            figure(result.top1, ".2%"),
            figure(result.max_abs, ".2e"),
            figure(result.sqnr_db, ".1f"),
            result.verdict,
        ]
        for result in artifact.results
    ]


def _reasons(manifest: Manifest) -> list[str]:
    lines = [
        f"- {plain(artifact.id)} in {plain(result.runtime)}: {plain(reason)}"
        for artifact in manifest.artifacts
        for result in artifact.results
        for reason in result.reasons
    ]
    return [*lines, ""] if lines else []


def _use(manifest: Manifest, labels: Sequence[str] | None) -> list[str]:
    lines = ["## How to run it", ""]
    # One that runs on any CPU, where there is one.
    ranked = sorted(manifest.artifacts, key=lambda artifact: artifact.made_for != "any")
    first = {artifact.format: artifact for artifact in reversed(ranked)}
    read_label = _print_label(manifest.outputs[0]) if labels else ""
    for format, title, template in (
        ("onnx", "ONNX Runtime", ONNX_SNIPPET),
        ("torchscript", "PyTorch", TORCHSCRIPT_SNIPPET),
    ):
        if format in first:
            code = template.replace("FILE", first[format].file) + read_label
            code = code.replace("HINT", _own_input(manifest.inputs[0]))
            lines += [f"In Python, with {title}, in this folder:", "", "```python", code, "```", ""]
    return [*lines, *ELSEWHERE, ""]


SAMPLE = """\
manifest = json.loads(Path("manifest.json").read_text(encoding="utf-8"))
sample = manifest["golden"][0]


def read(tensor):
    return np.fromfile(tensor["file"], tensor["dtype"]).reshape(tensor["shape"])


inputs = [read(tensor) for tensor in sample["inputs"]]  # HINT"""

COMPARE = """
for output, answer, golden in zip(manifest["outputs"], answers, sample["outputs"], strict=True):
    error = np.abs(answer.astype("float64") - read(golden).astype("float64")).max()
    print(output["name"], answer.shape, "differs from PyTorch by", error)"""

ONNX_SNIPPET = f"""\
import json
from pathlib import Path

import numpy as np
import onnxruntime

{SAMPLE}
session = onnxruntime.InferenceSession("FILE", providers=["CPUExecutionProvider"])
names = [given["name"] for given in manifest["inputs"]]
answers = session.run(None, dict(zip(names, inputs, strict=True)))
{COMPARE}"""

TORCHSCRIPT_SNIPPET = f"""\
import json
from pathlib import Path

import numpy as np
import torch

{SAMPLE}
model = torch.jit.load("FILE").eval()
with torch.inference_mode():
    answers = model(*(torch.from_numpy(array) for array in inputs))
answers = answers if isinstance(answers, (tuple, list)) else (answers,)
answers = [answer.numpy(force=True) for answer in answers]
{COMPARE}"""

ELSEWHERE = (
    "In C++, open the .onnx file with ONNX Runtime or the .pt file with LibTorch "
    "(`torch::jit::load`); inputs and outputs come in the order of the tables above. Before that, "
    "compare size and SHA-256 of every file with `manifest.json`: a damaged model often loads and "
    "answers wrongly.",
    "",
    "How fast it runs is not said here, because a timing differs from run to run and from machine "
    "to machine: measure on the device itself, with the code above in a loop or with "
    "`pipeline bench` in the project that it comes from.",
)


def _own_input(tensor: Input) -> str:
    """How to put an input of one's own in the sample's place."""
    if tensor.kind != "image":
        if tensor.batch_axis is None:
            return "or yours"
        return f"or yours, with a batch axis{f', axis {a}' if (a := tensor.batch_axis) else ''}"
    grey = tensor.shape[-1] == 1
    pixels = 'np.asarray(Image.open(path).convert("L"))[None, :, :, None]'
    return f"or: [{pixels}]" if grey else 'or: [np.asarray(Image.open(path).convert("RGB"))[None]]'


def _print_label(output: Output) -> str:
    """Nothing for a single score, which is no place in a list."""
    if output.threshold is not None:
        return ""
    return f"""
labels = Path("{output.labels}").read_text(encoding="utf-8").split("\\n")
print(labels[answers[0][0].argmax()])"""


def _golden(manifest: Manifest) -> list[str]:
    return [
        "## Golden samples",
        "",
        f"{len(manifest.golden)} samples lie in `golden/` as raw little-endian numbers in C order, "
        "with what PyTorch answers to them; `manifest.json` has their types and shapes, and for "
        "each artifact how far an answer may be from these. Whoever runs the model elsewhere "
        "compares.",
        "",
    ]


def _origin(manifest: Manifest) -> list[str]:
    versions = manifest.producer.model_dump()
    lines = ["## Made with", "", *table(("", "version"), list(versions.items()))]
    license = plain(manifest.license) if manifest.license else "Not stated."
    return [*lines, "## License", "", license, ""]
