"""ONNX graphs without what tells of the machine that made them, and without what no runner needs.

Neither changes an answer.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TypeProto, numpy_helper
from onnx.inliner import inline_local_functions

from pipeline.formats.onnx.graphs import STANDARD, graphs_of, nodes_of, plain_domain

KEPT_METADATA = ("pkg.torch.onnx.name_scopes",)
"""What nodes keep: the modules that a node comes from, such as `['', 'model', 'model.conv1']`."""
_WORTH_A_NODE = 4096  # elements; a smaller weight is not worth a Transpose


def clean_onnx(model: ModelProto) -> None:
    """Drops stack traces, paths, producers and comments; stores equal weights once; imports each
    domain once, and says nothing else that a runner refuses and need not be said. In place."""
    tidy(model)
    model.ClearField("doc_string")
    model.ClearField("producer_name")
    model.ClearField("producer_version")
    model.ClearField("domain")
    model.ClearField("model_version")
    del model.metadata_props[:]
    for function in model.functions:
        function.ClearField("doc_string")
        del function.metadata_props[:]
        _clean_nodes(function.node)
    for graph in graphs_of(model.graph):
        _clean_graph(graph)
    share_weights(model.graph)


def tidy(model: ModelProto) -> None:
    """One import of each domain that is used, no axis of -1, nothing of training. In place."""
    model.DiscardUnknownFields()
    for field in ("training_info", "configuration"):
        model.ClearField(field)
    used = {""}
    for node in nodes_of(model):
        node.ClearField("device_configurations")
        if node.domain in STANDARD:
            node.ClearField("domain")
        used.add(node.domain)
    for holder in (model, *model.functions):
        _import_once(holder, used)
    for graph in graphs_of(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            _forget_negative_sizes(value.type)


def inlined(model: ModelProto) -> ModelProto:
    """The model with functions of its own written out where they are called."""
    return inline_local_functions(model) if model.functions else model


def share_weights(graph: GraphProto) -> None:
    """Stores an initializer once that others equal or are the transposed of: tied weights.

    Exporters fold the transposed view of a tied weight into a second constant.
    """
    outside = {value.name for value in (*graph.input, *graph.output)}
    seen: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    replaced: dict[str, str] = {}
    turned: list[NodeProto] = []
    kept = []
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.STRING or tensor.name in outside:
            kept.append(tensor)
            continue
        array = numpy_helper.to_array(tensor)
        first = seen.setdefault(_content(tensor.data_type, array), tensor.name)
        if first != tensor.name:
            replaced[tensor.name] = first
            continue
        if array.ndim == 2 and min(array.shape) > 1 and array.size >= _WORTH_A_NODE:
            other = seen.get(_content(tensor.data_type, array.T))
            if other is not None and other != tensor.name:
                turned.append(_transposed(other, tensor.name))
                continue
        kept.append(tensor)
    if len(kept) == len(graph.initializer):
        return
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for node in (node for inner in graphs_of(graph) for node in inner.node):
        for index, name in enumerate(node.input):
            node.input[index] = replaced.get(name, name)
    nodes = [*turned, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _content(dtype: int, array: np.ndarray) -> tuple[int, tuple[int, ...], bytes]:
    return dtype, array.shape, np.ascontiguousarray(array).tobytes()


def _transposed(source: str, name: str) -> NodeProto:
    return onnx.helper.make_node("Transpose", [source], [name], f"{name}.transpose", perm=[1, 0])


def _clean_graph(graph: GraphProto) -> None:
    graph.ClearField("doc_string")
    del graph.metadata_props[:]
    weights = {tensor.name for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.ClearField("doc_string")
        del value.metadata_props[:]
    known = [value for value in graph.value_info if value.name not in weights]
    del graph.value_info[:]
    graph.value_info.extend(known)
    _clean_nodes(graph.node)


def _clean_nodes(nodes: "list[NodeProto]") -> None:
    for node in nodes:
        node.ClearField("doc_string")
        kept = [entry for entry in node.metadata_props if entry.key in KEPT_METADATA]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)


def _import_once(holder: "ModelProto | onnx.FunctionProto", used: set[str]) -> None:
    """Imports of one domain in two versions both stay: nobody can say which was meant."""
    kept = dict.fromkeys(
        (plain_domain(entry.domain), entry.version)
        for entry in holder.opset_import
        if plain_domain(entry.domain) in used
    )
    del holder.opset_import[:]
    holder.opset_import.extend(onnx.helper.make_opsetid(*entry) for entry in kept)


def _forget_negative_sizes(kind: TypeProto) -> None:
    """Some converters write -1 for a size that is not known; the standard leaves it out."""
    for inner in _tensor_types(kind):
        for dim in inner.shape.dim:
            if dim.dim_value < 0:
                dim.ClearField("dim_value")


def _tensor_types(kind: TypeProto) -> Iterator[TypeProto.Tensor]:
    which = kind.WhichOneof("value")
    if which == "tensor_type":
        yield kind.tensor_type
    elif which in ("sequence_type", "optional_type"):
        yield from _tensor_types(getattr(kind, which).elem_type)
    elif which == "map_type":
        yield from _tensor_types(kind.map_type.value_type)
