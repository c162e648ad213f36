"""What a quantized file really holds, layer by layer, beside what it was made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.export import Format
from pipeline.errors import UsageError
from pipeline.formats.read_back import Facts, read_back
from pipeline.quantize.recipes import Recipe

# Operators of TorchScript that have a weight: (float, quantized) by kind, as beginnings of names.
_TORCH_KINDS = {
    "convolutions": (("aten::_convolution", "aten::conv"), ("quantized::conv",)),
    "linear layers": (("aten::linear", "aten::addmm"), ("quantized::linear",)),
    "recurrent layers": (
        ("aten::lstm", "aten::gru", "aten::rnn"),
        ("aten::quantized_lstm", "aten::quantized_gru", "quantized::quantized_"),
    ),
}
# Names that begin so and compute no layer.
_NO_LAYER = ("_prepack", "_unpack")

# The types that a weight can have after a recipe of that precision.
WEIGHT_TYPES = {"int8": ("int8", "uint8"), "fp16": ("float16",), "fp32": ("float32",)}
WEIGHT_TYPES |= {"int4": ("uint8",)}  # two in a byte, as MatMulNBits packs them


@dataclass(frozen=True)
class Coverage:
    """`layers`: by kind, how many are quantized and how many there are. Bytes by element type."""

    layers: dict[str, tuple[int, int]]
    before: Facts
    after: Facts

    @property
    def ratio(self) -> float:
        """Bytes of all weights before, for one byte after."""
        return sum(self.before.weight_bytes.values()) / max(
            1, sum(self.after.weight_bytes.values())
        )

    def __str__(self) -> str:
        done = ", ".join(f"{done} of {there} {kind}" for kind, (done, there) in self.layers.items())
        before, after = (sum(facts.weight_bytes.values()) for facts in (self.before, self.after))
        return f"{done}; weights {_size(before)} → {_size(after)} ({self.ratio:.1f}× smaller)"


def coverage_of(recipe: Recipe, source: Path, made: Path) -> Coverage:
    """Reads both files. Raises DamagedError if one cannot be parsed."""
    before, after = read_back(source, recipe.format), read_back(made, recipe.format)
    if recipe.format == "onnx":
        layers = _onnx_layers(made, WEIGHT_TYPES[recipe.precision])
    else:
        layers = _torchscript_layers(after.operators)
    return Coverage(layers, before, after)


def kinds_of(format: Format, path: Path) -> list[str]:
    """The kinds of layers that a float file has. Raises DamagedError if it cannot be parsed."""
    if format == "onnx":
        return list(_onnx_layers(path, WEIGHT_TYPES["fp32"]))
    return list(_torchscript_layers(read_back(path, format).operators))


class NothingToQuantizeError(UsageError):
    """The model has no layer of the kinds that a recipe quantizes."""


def check_changed(
    recipe: Recipe, found: Coverage, patterns: tuple[str, ...], others: list[str]
) -> None:
    """Raises UsageError if no weight changed its type, saying why and what would:
    NothingToQuantizeError where that is not for want of trying.

    `others` are the recipes that quantize what this model has.
    """
    if any(done for done, _ in found.layers.values()):
        return
    kinds = " or ".join(recipe.kinds)
    eligible = sum(found.layers.get(kind, (0, 0))[1] for kind in recipe.kinds)
    if not eligible:
        there = ", ".join(f"{count} {kind}" for kind, (_, count) in found.layers.items())
        why = f"it quantizes {kinds}, and the model has none ({there or 'no layer with weights'})"
    elif patterns:
        why = f"[quantize] exclude keeps all of its {eligible} {kinds} float"
    else:
        why = f"none of the model's {eligible} {kinds} has a form that it can take"
    drop = f'Leave "{recipe.name}" out of [quantize] recipes'
    instead = f"; {' or '.join(others)} quantizes such a model" if others else ""
    if eligible and patterns:
        instead = ", or exclude less"
    kind_of_error = UsageError if eligible else NothingToQuantizeError
    raise kind_of_error(f"{recipe} changed nothing: {why}.", f"{drop}{instead}.")


def _onnx_layers(path: Path, types: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    from pipeline.formats.onnx.facts import element_type
    from pipeline.formats.onnx.load import load_onnx
    from pipeline.quantize.onnx.graph import KINDS, name_nodes, weighted

    model = load_onnx(path)
    name_nodes(model)
    weights = weighted(model.graph)
    counts: dict[str, tuple[int, int]] = {}
    for kind, operators in KINDS.items():
        dtypes = [
            element_type(weights[node.name].data_type)
            for node in model.graph.node
            if node.op_type in operators and node.name in weights
        ]
        if dtypes:
            counts[kind] = sum(dtype in types for dtype in dtypes), len(dtypes)
    return counts


def _torchscript_layers(operators: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    counts = {}
    for kind, beginnings in _TORCH_KINDS.items():
        plain, quantized = (
            sum(
                count
                for name, count in operators.items()
                if name.startswith(start) and not name.endswith(_NO_LAYER)
            )
            for start in beginnings
        )
        if plain + quantized:
            counts[kind] = quantized, plain + quantized
    return counts


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
