"""The sensitivity of the layers of an ONNX model."""

import onnxruntime as ort
from onnx import ModelProto

from pipeline.config import threads_or_all
from pipeline.formats.onnx.graphs import LAYERS
from pipeline.graph.array import Array
from pipeline.project.library import library
from pipeline.quantize.onnx.calibration import INSTEAD
from pipeline.quantize.onnx.graph import names_of
from pipeline.quantize.onnx.qdq import CalibratedModel, qdq
from pipeline.quantize.recipes import Task
from pipeline.quantize.scheme import StaticScheme
from pipeline.quantize.sensitivity import few_batches, ranked, sqnr_of
from pipeline.system.progress import Bar
from pipeline.workspace.results.quantize import LayerSensitivity


def layers(calibrated: CalibratedModel) -> list[str]:
    """Names of the nodes with weights that `qdq` may quantize, in the graph's order."""
    chosen = set(calibrated.nodes)
    return [n.name for n in calibrated.model.graph.node if n.op_type in LAYERS and n.name in chosen]


def sensitivities(
    task: Task, calibrated: CalibratedModel, scheme: StaticScheme, bar: Bar
) -> list[LayerSensitivity]:
    """The most sensitive layer first."""
    batches, names = few_batches(task), [spec.name for spec in task.signature.inputs]
    stored = {tensor.name for tensor in calibrated.model.graph.initializer}
    nodes = {node.name: node for node in calibrated.model.graph.node}
    reference = _answers(task, calibrated.model, batches, names)
    every, found = layers(calibrated), []
    for layer in every:
        others = set(calibrated.nodes) - {layer}
        alone = qdq(calibrated, scheme, others)
        answers = _answers(task, alone, batches, names)
        module = names_of(nodes[layer], stored)[-1]
        found.append(
            LayerSensitivity(layer=layer, module=module, sqnr_db=sqnr_of(reference, iter(answers)))
        )
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
