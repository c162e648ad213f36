"""Graphs put together: preprocessing before a model, an activation behind it, names as signed."""

from collections.abc import Sequence

import onnx
from onnx import GraphProto, ModelProto
from onnx.compose import merge_models

from pipeline.config import Config
from pipeline.errors import UsageError, brief
from pipeline.export.shapes import InputAxes
from pipeline.formats.onnx.clean import clean_onnx, inlined, tidy
from pipeline.formats.onnx.graphs import graphs_of, opset_of
from pipeline.formats.onnx.load import load_onnx
from pipeline.graph.wrap import Wrapped
from pipeline.project.onnx_model import OnnxModel

_PREFIX = "preprocessing/"


def join(before: ModelProto, model: ModelProto, index: int) -> ModelProto:
    """The preprocessing's output becomes input `index` of the model; opsets and IR versions meet.

    Raises UsageError where a graph cannot be brought to the other's opset.
    """
    clean_onnx(before)
    clean_onnx(model)
    opset = max(opset_of(before), opset_of(model))
    before, model = _with_opset(before, opset), _with_opset(model, opset)
    before.ir_version = model.ir_version = max(before.ir_version, model.ir_version)
    inner = _inputs(model.graph)[index]
    prefix = _PREFIX if len(_inputs(model.graph)) == 1 else f"{_PREFIX}{index}/"
    outside = before.graph.input[0].name
    _rename(model.graph, {outside: f"{outside}.model"} if outside != inner else {})
    output = before.graph.output[0].name
    joined = merge_models(before, model, io_map=[(output, inner)], prefix1=prefix)
    tidy(joined)  # it has the imports of both
    _rename(joined.graph, {prefix + outside: outside})
    first = joined.graph.input.pop(0)  # where merging puts it
    joined.graph.input.insert(index, first)
    return joined


def graph_of_file(
    config: Config, model: Wrapped, axes: Sequence[InputAxes], outputs: Sequence[str]
) -> ModelProto:
    """A user's ONNX file with its data inlined, its ports named as signed, the activation behind.

    The preprocessing is not yet before it. Raises UsageError if a name is taken twice.
    """
    source = model.model
    assert isinstance(source, OnnxModel)
    graph_model = inlined(load_onnx(source.path))
    clean_onnx(graph_model)
    graph = graph_model.graph
    own = _inputs(graph)
    weights = [value for value in graph.input if value.name not in own]
    for value in weights:  # older files list weights as inputs that a caller may replace
        graph.input.remove(value)
    _name_axes(graph, axes, set(model.images))
    scores = [value.name for value in graph.output]
    if config.activation != "none":
        _append_activation(graph, config.activation)
    renamed = {
        value.name: name
        for value, name in zip(graph.output, outputs, strict=True)
        if value.name != name
    }
    taken = _names(graph) & set(renamed.values())
    if taken:
        raise UsageError(
            f"output.names: {', '.join(sorted(taken))} is already a name inside "
            f"{source.path.name}, whose outputs are {', '.join(scores)}.",
            "Choose another name.",
        )
    _rename(graph, renamed)
    return graph_model


def _append_activation(graph: GraphProto, activation: str) -> None:
    """Softmax over the last axis, or sigmoid, behind the first output, which keeps its name."""
    name = graph.output[0].name
    scores = f"{name}.scores"
    _rename(graph, {name: scores})
    graph.output[0].name = name
    node = onnx.helper.make_node(activation.capitalize(), [scores], [name], f"{name}.{activation}")
    if activation == "softmax":
        node.attribute.append(onnx.helper.make_attribute("axis", -1))
    graph.node.append(node)


def _name_axes(graph: GraphProto, axes: Sequence[InputAxes], images: set[int]) -> None:
    """The file's own names of dynamic input axes become the signature's, everywhere; pictures have
    others outside the preprocessing."""
    own = _inputs(graph)
    new_names = {}
    for value in graph.input:
        index = own.index(value.name)
        if index in images:
            continue
        for dim, axis in zip(value.type.tensor_type.shape.dim, axes[index].sizes, strict=True):
            if isinstance(axis, str):
                if dim.dim_param:
                    new_names[dim.dim_param] = axis
                dim.dim_param = axis
    for value in (*graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in new_names:
                dim.dim_param = new_names[dim.dim_param]


def _with_opset(model: ModelProto, opset: int) -> ModelProto:
    if opset_of(model) == opset:
        return model
    try:
        return onnx.version_converter.convert_version(model, opset)
    except Exception as error:
        raise UsageError(
            f"A graph of opset {opset_of(model)} cannot be brought to opset {opset}, which the "
            f"preprocessing needs: {brief(error)}",
            "Export that file again with opset 18 or later, or feed it tensors: "
            '[input] kind = "tensor".',
        ) from error


def _inputs(graph: GraphProto) -> list[str]:
    weights = {tensor.name for tensor in graph.initializer}
    return [value.name for value in graph.input if value.name not in weights]


def _names(graph: GraphProto) -> set[str]:
    names = {value.name for value in (*graph.input, *graph.initializer)}
    return names | {
        name for inner in graphs_of(graph) for node in inner.node for name in node.output
    }


def _rename(graph: GraphProto, new_names: dict[str, str]) -> None:
    """Renames values wherever they stand."""
    if not new_names:
        return
    for inner in graphs_of(graph):
        for value in (*inner.input, *inner.output, *inner.value_info, *inner.initializer):
            value.name = new_names.get(value.name, value.name)
        for node in inner.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    names[index] = new_names.get(name, name)
