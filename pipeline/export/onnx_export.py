"""ONNX through torch.export, or through the older exporter, which follows TorchScript.

The older one has no antialiased resize, so the preprocessing always goes through torch.export,
and the two graphs are joined.
"""

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import onnx
import torch
from onnx import ModelProto
from torch import nn
from torch.export import Dim

from pipeline.config import BATCH_AXIS, Config
from pipeline.errors import UsageError
from pipeline.export.diagnostics import Diagnostics, ExportFailedError, collected, first_sentence
from pipeline.export.join import join
from pipeline.export.probe import Probe, Tensors
from pipeline.export.shapes import InputAxes
from pipeline.formats.onnx.clean import clean_onnx, inlined
from pipeline.graph.wrap import Wrapped, prepared
from pipeline.system.silence import silent_output

Exporter = Literal["dynamo", "legacy"]
NEWEST_LEGACY_OPSET = 20  # of the older exporter in torch 2.15
PIXELS = "pixels"  # what the preprocessing hands to the model


@dataclass(frozen=True)
class Graph:
    model: ModelProto
    diagnostics: Diagnostics = field(default_factory=Diagnostics)


def by_dynamo(config: Config, model: Wrapped, probe: Probe) -> Graph:
    """The whole wrapped model through torch.export. Raises ExportFailedError."""
    outputs = [spec.name for spec in probe.signature.outputs]
    return _dynamo(config, model, probe.base, probe.axes, model.input_names, outputs)


def by_legacy(config: Config, model: Wrapped, core: torch.jit.ScriptModule, probe: Probe) -> Graph:
    """A TorchScript module through the older exporter, behind the preprocessing.

    `core` has been compared with the reference: the older exporter follows it and would export a
    wrong trace without a word. Raises ExportFailedError.
    """
    images = model.images
    inputs = prepared(images, probe.base)
    axes, names = list(probe.axes), list(model.input_names)
    for index in images:
        axes[index] = InputAxes((axes[index].sizes[0], *inputs[index].shape[1:]), 0)
        names[index] = _pixels(names[index], len(names))
    buffer = io.BytesIO()
    with collected() as diagnostics, silent_output(), _refusals():
        torch.onnx.export(
            core,
            inputs,
            buffer,  # type: ignore[arg-type]  # takes a stream, and says so at run time
            dynamo=False,
            opset_version=min(config.export.opset, NEWEST_LEGACY_OPSET),
            input_names=names,
            output_names=[spec.name for spec in probe.signature.outputs],
            dynamic_axes=_dynamic_names(names, axes, probe),
        )
    exported = onnx.load_from_string(buffer.getvalue())
    return Graph(behind_preprocessing(config, model, exported, probe), diagnostics)


def behind_preprocessing(
    config: Config, model: Wrapped, graph: ModelProto, probe: Probe
) -> ModelProto:
    """A graph of the user's model with what prepares its pictures in front of it."""
    for index, image in model.images.items():
        name, axes = model.input_names[index], probe.axes[index]
        pixels = _pixels(name, len(model.input_names))
        inputs = (probe.base[index],)
        before = _dynamo(config, image, inputs, [axes], [name], [pixels]).model
        graph = join(before, graph, index)
    return graph


def _pixels(name: str, inputs: int) -> str:
    """What the preprocessing of an input, one of so many, hands to the model."""
    return PIXELS if inputs == 1 else f"{name}.{PIXELS}"


def _dynamo(
    config: Config,
    module: nn.Module,
    inputs: Tensors,
    axes: Sequence[InputAxes],
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> Graph:
    shapes: Any = _dynamic_shapes(axes)
    with collected() as diagnostics, _refusals():
        program = torch.onnx.export(
            module,
            tuple(tensor.clone() for tensor in inputs),
            dynamo=True,
            external_data=False,
            verbose=False,
            opset_version=config.export.opset,
            input_names=list(input_names),
            output_names=list(output_names),
            dynamic_shapes=(shapes,) if isinstance(module, Wrapped) else shapes,
        )
    assert program is not None
    exported = inlined(program.model_proto)
    clean_onnx(exported)
    return Graph(exported, diagnostics)


def _dynamic_shapes(axes: Sequence[InputAxes]) -> tuple[dict[int, Any], ...]:
    """torch.export's own description; an axis of the same name is the same everywhere."""
    names = dict.fromkeys(axis for one in axes for axis in one.named.values())
    dims = {name: Dim(re.sub(r"\W", "_", name), min=1) for name in names}
    return tuple({index: dims[axis] for index, axis in one.named.items()} for one in axes)


def _dynamic_names(
    names: Sequence[str], axes: Sequence[InputAxes], probe: Probe
) -> dict[str, dict[int, str]]:
    """The older exporter's description, outputs included."""
    described = {name: one.named for name, one in zip(names, axes, strict=True)}
    for spec in probe.signature.outputs:
        moving = [index for index, size in enumerate(spec.shape) if size is None]
        described[spec.name] = {
            index: BATCH_AXIS if index == spec.batch_axis else f"{spec.name}_{index}"
            for index in moving
        }
    return described


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Whatever an exporter raises becomes an ExportFailedError with its reason."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        raise ExportFailedError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """The innermost error in a sentence, and the user's line that it stands for."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = str(cause)
    reason = _plain(first_sentence(text)) or type(cause).__name__
    if newer := re.search(r"[Ss]upport for this operator was added in version (\d+)", text):
        reason += f"; opset {newer.group(1)} has it"
    line = re.search(r'File "([^"]+)", line (\d+), in \w+\n\s+(.+)', text)
    if line is None:
        return reason
    source = line.group(3).strip().removesuffix(":")
    return f"{reason} ({Path(line.group(1)).name}:{line.group(2)}: {source})"


def _plain(reason: str) -> str:
    """torch.export's two usual complaints, in words that need no knowledge of it."""
    if "data-dependent expression" in reason:
        return "a branch or a size depends on the values of the input"
    axes = re.match(r"Constraints violated \(([^)]+)\)", reason)
    return f"the code allows only one size of the axis {axes.group(1)}" if axes else reason
