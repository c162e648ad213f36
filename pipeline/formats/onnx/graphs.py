"""Walking ONNX graphs, and the spellings of their domains."""

from collections.abc import Iterator

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

LAYERS = (
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
)  # operators with weights that static int8 takes
PADDING = "channels.padded"  # begins the names of constants that add channels of zeros
STANDARD = ("", "ai.onnx")  # two spellings of one domain


def graphs_of(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and the graphs inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            yield from _inner_graphs(attribute)


def nodes_of(model: ModelProto) -> Iterator[NodeProto]:
    """Every node of a model, those of its functions and inner graphs included."""
    for graph in graphs_of(model.graph):
        yield from graph.node
    for function in model.functions:
        for node in function.node:
            yield node
            for attribute in node.attribute:
                for inner in _inner_graphs(attribute):
                    yield from inner.node


def _inner_graphs(attribute: AttributeProto) -> Iterator[GraphProto]:
    for inner in (attribute.g, *attribute.graphs):
        if inner.ByteSize():
            yield from graphs_of(inner)


def opset_of(model: ModelProto) -> int:
    """The opset of the standard operators; 0 where there is none."""
    return next((item.version for item in model.opset_import if item.domain in STANDARD), 0)


def plain_domain(domain: str) -> str:
    return "" if domain in STANDARD else domain
