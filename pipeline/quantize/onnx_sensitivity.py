"""The sensitivity of the layers of an ONNX model."""

import onnxruntime as ort
from onnx import ModelProto

from pipeline.config import threads_or_all
from pipeline.onnx_file import LAYERS
from pipeline.progress import Bar
from pipeline.quantize.how import How
from pipeline.quantize.library import library
from pipeline.quantize.onnx_calibration import INSTEAD
from pipeline.quantize.onnx_graph import names_of
from pipeline.quantize.onnx_qdq import Ground, qdq
from pipeline.quantize.recipes import Task
from pipeline.quantize.sensitivity import Sensitivity, few_batches, ranked, sqnr_of
from pipeline.runtimes import Array


def layers(floor: Ground) -> list[str]:
    """Names of the nodes with weights that `qdq` may quantize, in the graph's order."""
    chosen = set(floor.nodes)
    return [n.name for n in floor.model.graph.node if n.op_type in LAYERS and n.name in chosen]


def sensitivities(task: Task, floor: Ground, how: How, bar: Bar) -> list[Sensitivity]:
    """The most sensitive layer first."""
    batches, names = few_batches(task), [spec.name for spec in task.signature.inputs]
    stored = {tensor.name for tensor in floor.model.graph.initializer}
    nodes = {node.name: node for node in floor.model.graph.node}
    reference = _answers(task, floor.model, batches, names)
    every, found = layers(floor), []
    for layer in every:
        others = set(floor.nodes) - {layer}
        alone = qdq(floor, how, others)
        answers = _answers(task, alone, batches, names)
        module = names_of(nodes[layer], stored)[-1]
        found.append(Sensitivity(layer, module, sqnr_of(reference, iter(answers))))
        bar.advance(1, f"sensitivity of {module}")
    return ranked(found)


def _answers(
    task: Task, model: ModelProto, batches: list[list[Array]], names: list[str]
) -> list[list[Array]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads_or_all(task.config.quantize.threads)
    options.log_severity_level = 4
    data = model.SerializeToString()
    with library("The sensitivity of layers, by ONNX Runtime", None, INSTEAD):
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return [session.run(None, dict(zip(names, batch, strict=True))) for batch in batches]
