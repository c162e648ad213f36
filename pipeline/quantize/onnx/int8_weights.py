"""int8-weights for ONNX: weights of linear layers in blocks of 8 (or 4) bits, arithmetic in float.

`MatMulNBits` of ONNX Runtime unpacks a block while it multiplies. It is for models whose time goes
into reading weights: language models and others with large linear layers and small batches.
"""

from onnx import ModelProto, NodeProto, helper
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from pipeline.formats.onnx.write import onnx_bytes
from pipeline.quantize.onnx.graph import (
    excluded_nodes,
    name_nodes,
    replace_nodes,
    sort_nodes,
    weighted,
)
from pipeline.quantize.onnx.prepare import quantizing
from pipeline.quantize.onnx.stream import load_lean
from pipeline.quantize.onnx.weights import layers_of, put
from pipeline.quantize.recipes import Quantized, Task

BLOCK = 32  # inputs that share a scale
COMPUTES_IN = {8: 4, 4: 4}  # `accuracy_level` of the operator: 4 multiplies in int8


def int8(task: Task) -> Quantized:
    return with_bits(task, 8)


def int4(task: Task) -> Quantized:
    return with_bits(task, 4)


def with_bits(task: Task, bits: int) -> Quantized:
    """The model with the weights of its linear layers in `bits`, 8 or 4, symmetric in blocks.

    At no time is there more in memory than the float model and the quantized one twice.
    """
    details = {"activations": "float32", "weights": f"int{bits} in blocks of {BLOCK}"}
    # The float model dies with the call: protobuf gives memory back by the whole model alone.
    model = ModelProto.FromString(_quantized(task, bits))
    return Quantized(onnx_bytes(model, f"{task.source.id} as int{bits}-weights"), "any", details)


def _quantized(task: Task, bits: int) -> bytes:
    model = load_lean(task.path)
    name_nodes(model)
    _as_products(model)
    weights = weighted(model.graph)
    kept = excluded_nodes(model, task.config.quantize.exclude)
    names = [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul" and node.name in weights and node.name not in kept
    ]
    if names:
        with quantizing("onnx:int8-weights"):
            quantizer = MatMulNBitsQuantizer(
                model,
                bits=bits,
                block_size=BLOCK,
                is_symmetric=True,
                accuracy_level=COMPUTES_IN[bits],
                nodes_to_include=names,
            )
            quantizer.process()
        model = quantizer.model.model
        sort_nodes(model.graph)
    del model.graph.value_info[:]
    data: bytes = model.SerializeToString()
    return data


def _as_products(model: ModelProto) -> None:
    """Each Gemm with a stored weight as a MatMul and an Add, in place: `MatMulNBits` replaces
    MatMuls alone."""
    graph = model.graph
    nodes = {
        name: layer for name, layer in layers_of(graph).items() if layer.node.op_type == "Gemm"
    }
    made = []
    for node in graph.node:
        layer = nodes.get(node.name)
        if layer is None:
            made.append(node)
            continue
        if layer.axis == 0:  # [outputs, inputs], as torch has it
            put(layer.weight, layer.array.T)
        given = [*node.input]
        product = NodeProto()
        product.CopyFrom(node)
        product.op_type = "MatMul"
        del product.attribute[:]
        del product.input[2:]
        made.append(product)
        if len(given) > 2 and given[2]:
            product.output[0] = f"{node.output[0]}.product"
            name = f"{node.name}.bias"
            made.append(
                helper.make_node("Add", [product.output[0], given[2]], [*node.output], name)
            )
    replace_nodes(graph, made)
