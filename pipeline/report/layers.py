"""The bytes of an artifact by layer of the user's model."""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pipeline.workspace.artifacts import Artifact

# What export and quantize put behind a parameter's name.
MADE = re.compile(r"(_(quantized|scale|zero_point|bias|fp16|fp32))+$")
PARAMETER = re.compile(r"\.(weight|bias|running_mean|running_var)$")
OTHER = "all else"


def sizes(artifacts: Mapping[str, tuple[Artifact, Path]], shown: int) -> dict[str, dict[str, int]]:
    """Bytes by layer, by artifact: the `shown` largest layers and what all others come to.

    Of ONNX files, whose names are those of the model's parameters; what has no such name (constants
    of the graph) counts to all else.
    """
    from pipeline.formats.read_back import read_back

    by_artifact: dict[str, Counter[str]] = {}
    for name, (artifact, path) in artifacts.items():
        if artifact.format == "onnx":
            by_artifact[name] = Counter()
            for layer in read_back(path, "onnx").layers:
                by_artifact[name][_module(layer.name)] += layer.bytes
    total: Counter[str] = Counter()
    for counts in by_artifact.values():
        total.update(counts)
    largest = [name for name, _ in total.most_common() if name != OTHER][:shown]
    return {
        name: {layer: counts[layer] for layer in largest}
        | {OTHER: sum(counts.values()) - sum(counts[layer] for layer in largest)}
        for name, counts in by_artifact.items()
    }


def _module(name: str) -> str:
    """`model.features.0.0.weight_quantized_scale` → `features.0.0`."""
    plain = PARAMETER.sub("", MADE.sub("", name))
    return plain.removeprefix("model.") if plain.startswith("model.") else OTHER
