"""The precision that an artifact is computed in, which need not be the one it is stored in."""

from collections import Counter
from pathlib import Path

from pipeline.errors import DamagedError
from pipeline.workspace.artifacts import Artifact

TORCH_WEIGHTED = ("conv1d", "conv2d", "conv3d", "_convolution", "linear", "matmul", "addmm")


def computed_in(artifact: Artifact, path: Path) -> dict[str, int] | None:
    """How many operators with weights compute in which precision; None if nobody can tell, where
    the row itself says what is wrong with the file. LibTorch runs a file as it is."""
    if artifact.format == "torchscript":
        return _torchscript(artifact)
    from pipeline.formats.onnx.as_run import layers_as_run

    try:
        return dict(Counter(layer.computed_in for layer in layers_as_run(path)))
    except DamagedError:
        return None


def _torchscript(artifact: Artifact) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for name, count in artifact.operators.items():
        space, _, kind = name.partition("::")
        if any(word in kind for word in TORCH_WEIGHTED):
            counts["int8" if space == "quantized" else _float_of(artifact)] += count
    return dict(counts)


def _float_of(artifact: Artifact) -> str:
    return "fp32" if artifact.precision == "int8" else artifact.precision
