"""ONNX files: read, checked, and cleaned of what tells of the machine that made them."""

from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper

from pipeline import onnx_look
from pipeline.errors import DamagedError, UsageError
from pipeline.onnx_look import graphs_of

KEPT_METADATA = ("pkg.torch.onnx.name_scopes",)
"""What nodes keep: the modules that a node comes from, such as `['', 'model', 'model.conv1']`."""

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators with weights that static int8 takes."""

LIMIT = 2**31 - 1  # bytes of one protobuf message
_WORTH_A_NODE = 4096  # elements; a smaller weight is not worth a Transpose


def load_onnx(path: Path) -> ModelProto:
    """The model with its external data inlined. Raises DamagedError if it cannot be read."""
    try:
        return onnx.load(path)
    except Exception as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise DamagedError(f"{path} cannot be read as ONNX: {said[0]}") from error


def check_onnx(model: ModelProto, what: str) -> None:
    """onnx.checker's full check, shapes inferred and compared, and what a bundle's runners look for
    beside it. Raises UsageError."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        said = " ".join(str(error).split())
        raise UsageError(
            f"{what} fails the ONNX checker: {said[:400]}",
            "The graph is outside the standard: try another [export] opset or exporter.",
        ) from error
    refused = onnx_look.refusal(model)
    if refused:
        raise UsageError(
            f"{what} is refused by the runners of a bundle: {refused}.",
            "Write it with operators of the standard, or leave ONNX out: "
            '[export] formats = ["torchscript"].',
        )


def onnx_bytes(model: ModelProto, what: str) -> bytes:
    """Cleans (in place) and checks a model, and gives the file: the same graph, the same bytes.

    Raises UsageError if it is larger than one ONNX file can be.
    """
    clean_onnx(model)
    if model.ByteSize() > LIMIT:
        raise UsageError(
            f"{what} has {model.ByteSize() / 2**30:.1f} GiB; one ONNX file holds at most 2 GiB.",
            'Leave ONNX out: [export] formats = ["torchscript"].',
        )
    check_onnx(model, what)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def clean_onnx(model: ModelProto) -> None:
    """Drops stack traces, paths, producers and comments; stores equal weights once; imports each
    domain once, and says nothing else that a runner refuses and need not be said. In place."""
    onnx_look.tidy(model)
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


def opset_of(model: ModelProto) -> int:
    """The opset of the standard operators; 0 where there is none."""
    return next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), 0)


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
