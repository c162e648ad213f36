"""What every runner of a bundle takes of an ONNX file, where the standard allows more.

The C++ runner and the Android app look at a file before ONNX Runtime does, and refuse what is odd
(docs/cpp-runner.md).
"""

from onnx import ModelProto, NodeProto, TypeProto

from pipeline.formats.onnx.graphs import STANDARD, graphs_of, nodes_of, plain_domain
from pipeline.formats.operators import operators

MICROSOFT = "com.microsoft"


def refusal(model: ModelProto) -> str | None:
    """What a runner refuses this model for, in a sentence; None if nothing. Shapes and weights are
    for onnx.checker to look at."""
    domains = [plain_domain(entry.domain) for entry in model.opset_import]
    twice = next((domain for domain in domains if domains.count(domain) > 1), None)
    if twice is not None:
        return f"it imports the domain {twice or 'ai.onnx'!r} twice"
    if "" not in domains:
        return "it imports no version of the standard operators"
    if model.functions:
        return f"it has functions of its own, {model.functions[0].name!r} the first"
    for graph in graphs_of(model.graph):
        if graph.sparse_initializer:
            return "it has sparse weights"
        for value in (*graph.input, *graph.output, *graph.value_info):
            if _is_sparse(value.type):
                return f"{value.name!r} is a sparse tensor, or of a type of somebody's own"
    return next((reason for node in nodes_of(model) if (reason := _of_node(node))), None)


def _of_node(node: NodeProto) -> str | None:
    what = f"the operator {node.op_type!r}"
    if node.domain == MICROSOFT and node.op_type not in operators().microsoft:
        return f"{what} of {MICROSOFT} is not one that a runner supports"
    if node.domain not in (*STANDARD, MICROSOFT):
        return f"{what} is of the domain {node.domain!r}, which no runner takes"
    if any(attribute.HasField("sparse_tensor") for attribute in node.attribute):
        return f"{what} holds a sparse tensor"
    return None


def _is_sparse(kind: TypeProto) -> bool:
    which = kind.WhichOneof("value")
    if which in ("sequence_type", "optional_type"):
        return _is_sparse(getattr(kind, which).elem_type)
    return which in ("sparse_tensor_type", "opaque_type")
