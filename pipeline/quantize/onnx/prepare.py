"""The fp32 ONNX file, made ready for ONNX Runtime's quantizers."""

import logging
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import onnx
from onnx import GraphProto, ModelProto
from onnxruntime.quantization.shape_inference import quant_pre_process

from pipeline.errors import UsageError, brief
from pipeline.formats.onnx.clean import clean_onnx
from pipeline.formats.onnx.load import load_onnx
from pipeline.project.library import library
from pipeline.quantize.onnx.graph import name_nodes, opset
from pipeline.quantize.recipes import Task

PER_CHANNEL_OPSET = 13  # the first with QuantizeLinear along an axis


def prepared(task: Task, path: Path) -> str | None:
    """Writes the model to `path`, folded and with shapes inferred; gives a note of what failed.

    What `quant_pre_process` does: symbolic shapes, ONNX Runtime's basic (machine-independent)
    optimizations, ONNX shapes. Symbolic shape inference knows no resize to a fixed size from a
    dynamic one; it is left out where it fails, and only attention-like graphs miss it.
    Raises UsageError for an opset without quantization along an axis.
    """
    model = load_onnx(task.path)
    check_opset(model, task)
    name_nodes(model)
    source = path.with_suffix(".source.onnx")
    onnx.save(model, source)
    note = None
    # ONNX Runtime leaves sym_shape_infer_temp.onnx and its data where it was started.
    source, path = source.resolve(), path.resolve()
    with quiet(), chdir(task.scratch):
        try:
            quant_pre_process(source, path)
        except Exception as error:  # AssertionError, KeyError, TypeError ... from inside
            note = f"without symbolic shape inference ({type(error).__name__} in ONNX Runtime's)"
            _without_symbols(task, source, path)
    model = onnx.load(path)
    _give_constants(model.graph)
    name_nodes(model)
    clean_onnx(model)  # shapes kept for weights would contradict those that get transposed
    onnx.save(model, path)
    return note


def _give_constants(graph: GraphProto) -> None:
    """An output that folding has made a constant comes out of a node again, as ONNX demands."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for value in graph.output:
        tensor = stored.get(value.name)
        if tensor is None:
            continue
        tensor.name = f"{value.name}.constant"
        for node in graph.node:
            node.input[:] = [tensor.name if name == value.name else name for name in node.input]
        graph.node.append(onnx.helper.make_node("Identity", [tensor.name], [value.name]))


def check_opset(model: ModelProto, task: Task) -> None:
    if opset(model) < PER_CHANNEL_OPSET:
        raise UsageError(
            f"{task.path.name} has opset {opset(model)}; int8 per channel needs "
            f"{PER_CHANNEL_OPSET} or later.",
            "Export the ONNX file again with a newer opset, or drop the recipe.",
        )


def _without_symbols(task: Task, source: Path, path: Path) -> None:
    try:
        quant_pre_process(source, path, skip_symbolic_shape=True)
    except Exception as error:
        raise UsageError(
            f"ONNX Runtime cannot prepare {task.path.name} for quantization: {brief(error)}",
            "Drop the ONNX recipes; pipeline verify shows whether the fp32 file runs at all.",
        ) from error


@contextmanager
def quantizing(recipe: str) -> Iterator[None]:
    """Around ONNX Runtime's quantizer: without its log lines; what it raises is a UsageError."""
    instead = f'Leave "{recipe}" out of [quantize] recipes, or name layers in [quantize] exclude.'
    with quiet(), library(f"{recipe}: ONNX Runtime's quantizer", None, instead):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Without the log lines of ONNX Runtime's tools, which say all that matters by raising."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
