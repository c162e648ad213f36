"""The tensors inside an ONNX file: some at a time are made outputs, and ONNX Runtime runs it.

The weights lie in a file of their own, which ONNX Runtime maps into memory; the graph without them
is small, and is written anew with other outputs as often as is needed.
"""

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from pipeline.formats.onnx.graphs import LAYERS
from pipeline.formats.onnx.load import load_onnx
from pipeline.formats.taps import HANDS_ON, Tap, inside_graph
from pipeline.graph.array import Array

OUTSIDE = 1024  # bytes; smaller constants stay in the graph, since shapes are computed of them
OWN = "::own"  # behind a tensor's name: what its layer makes of the reference's inputs
HALF = "_fp16"  # behind a tensor's name: its float16 version
_SCOPES = "pkg.torch.onnx.name_scopes"
_INTERNAL = re.compile(r"^val_\d+$")  # what torch's exporter calls a step inside an operator
_QUANTIZERS = ("_quantized", "_scale", "_zero_point")  # what dynamic quantization adds
_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


class OnnxSource:
    """An ONNX file as a source of taps. `scratch` is a folder that the caller removes; `known` are
    the places of tensors that this file does not know, by name."""

    def __init__(
        self, path: Path, scratch: Path, known: "Mapping[str, Place] | None" = None
    ) -> None:
        self.folder = scratch
        model = load_onnx(path)
        onnx.save_model(
            model,
            scratch / "graph.onnx",
            save_as_external_data=True,
            location="weights.bin",
            size_threshold=OUTSIDE,
            convert_attribute=False,
        )
        del model
        self.model = onnx.load(scratch / "graph.onnx", load_external_data=False)
        del self.model.graph.value_info[:]
        self.inputs = _inputs(self.model)
        self.outputs = [value.name for value in self.model.graph.output]
        self.made = {name: node for node in self.model.graph.node for name in node.output if name}
        self.tensors = _tapped(self.model)  # by tap name, the tensor that stands for it
        self.places = dict(known or {})
        for name, place in places_of(self.model).items():
            also = self.places.get(name, NOWHERE)
            self.places[name] = Place(place.path or also.path, place.owner or also.owner)

    def taps(self) -> list[Tap]:
        """In the order in which they are computed. `size` is not known."""
        reads = _taps_read(self.model, list(self.tensors))
        taps = []
        for name in self.tensors:
            place = self.places.get(name, NOWHERE)
            operator = _operator(self.made, name)
            taps.append(Tap(name, place.path, operator, reads[name], owner=place.owner))
        return taps

    def session(self, names: Sequence[str]) -> ort.InferenceSession:
        """The whole graph, with these taps as its only outputs."""
        model = ModelProto()
        model.CopyFrom(self.model)
        del model.graph.output[:]
        for name in names:
            model.graph.output.append(self._output(self.tensors.get(name, name)))
        return self._open(model)

    def ask(
        self,
        session: ort.InferenceSession,
        inputs: Sequence[Array],
        handed: Mapping[str, Array] | None = None,
    ) -> list[Any]:
        """The outputs of a session for one sample, with tensors from outside by name. What the
        session does not read is left out."""
        known = dict(zip(self.inputs, inputs, strict=True)) | dict(handed or {})
        taken = {argument.name for argument in session.get_inputs()}
        feeds = {name: known[name] for name in taken}
        with inside_graph("ONNX Runtime does not run the graph with its tensors as outputs"):
            values: list[Any] = session.run(None, feeds)
        return values

    def cut(self, names: Sequence[str], types: Mapping[str, str]) -> tuple[Any, list[str]]:
        """The layers that make these taps, which read other taps from outside.

        `types` has the element type of each tap that is handed in. Gives the session, whose outputs
        are in the order of `names`, and the taps that it asks for.
        """
        outside = {self.tensors[name]: name for name in types}
        targets = [self.tensors[name] for name in names]
        nodes, asked = self._between(targets, outside)
        model = ModelProto()
        model.CopyFrom(self.model)
        del model.graph.node[:], model.graph.output[:]
        for node in nodes:
            copied = model.graph.node.add()
            copied.CopyFrom(node)
            for index, name in enumerate(copied.output):
                if name in outside:
                    copied.output[index] = name + OWN
        for tensor in targets:
            made = tensor + OWN if tensor in outside else tensor
            model.graph.output.append(self._output(made))
        for tensor in asked:
            kind = _TYPES[types[outside[tensor]]]
            model.graph.input.append(helper.make_tensor_value_info(tensor, kind, None))
        return self._open(model), [outside[tensor] for tensor in asked]

    def nodes(self, name: str, names: Sequence[str]) -> list[str]:
        """The nodes that make a tap of those taps before it."""
        outside = {self.tensors[other]: other for other in names}
        nodes, _ = self._between([self.tensors[name]], outside)
        return [node.name or node.op_type for node in nodes]

    def mended(self, types: Mapping[str, str], last: str) -> ort.InferenceSession:
        """The whole graph up to the tap `last`, with these taps handed in instead of computed."""
        outside = {self.tensors[name] for name in types}
        model = ModelProto()
        model.CopyFrom(self.model)
        for node in model.graph.node:
            for index, name in enumerate(node.output):
                if name in outside:
                    node.output[index] = name + OWN
        for name, kind in types.items():
            tensor = self.tensors[name]
            model.graph.input.append(helper.make_tensor_value_info(tensor, _TYPES[kind], None))
        del model.graph.output[:]
        made = self.tensors[last]
        model.graph.output.append(self._output(made + OWN if made in outside else made))
        return self._open(model)

    def _between(
        self, targets: Sequence[str], outside: Mapping[str, str]
    ) -> tuple[list[NodeProto], list[str]]:
        """The nodes from taps to taps, in order, and the tensors that come from outside."""
        wanted: set[int] = set()
        asked: dict[str, None] = {}
        pending = list(targets)
        for index, name in enumerate(pending):
            if index >= len(targets) and name in outside:
                asked[name] = None
                continue
            node = self.made.get(name)
            if node is None or id(node) in wanted:
                continue
            wanted.add(id(node))
            pending += _reads(node)
        return [node for node in self.model.graph.node if id(node) in wanted], list(asked)

    def _output(self, tensor: str) -> ValueInfoProto:
        """Its type is inferred; only the graph's own outputs need what the file says of them."""
        known: dict[str, ValueInfoProto] = {v.name: v for v in self.model.graph.output}
        if tensor in known:
            return known[tensor]
        return ValueInfoProto(name=tensor)

    def _open(self, model: ModelProto) -> ort.InferenceSession:
        file = self.folder / "part.onnx"
        file.write_bytes(model.SerializeToString())
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        options.enable_cpu_mem_arena = False  # gives memory back between one part and the next
        with inside_graph("ONNX Runtime does not take the graph with its tensors as outputs"):
            return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True)
class Place:
    """The module that computes a tensor, and the one that owns the weights of the layer that does:
    of a convolution with a folded batch norm and an activation in it, the convolution."""

    path: str
    owner: str = ""


NOWHERE = Place("")


def places_of(model: ModelProto) -> dict[str, Place]:
    """Where each tensor comes from, by its name without the traces of quantization."""
    stored = {tensor.name: tensor.name for tensor in model.graph.initializer}
    places = {}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            stored[node.output[0]] = node.input[0]
        path = _path(node)
        weights = [stored[name] for name in node.input if name in stored]
        owners = [name.rpartition(".")[0] for name in weights if node.op_type in LAYERS]
        for name in node.output:
            if path is not None:
                places[name.removesuffix(HALF)] = Place(path, next(filter(None, owners), ""))
    return places


def _path(node: NodeProto) -> str | None:
    """Torch's exporter writes the modules into the metadata, the older one into the node's name:
    `/layer1/layer1.0/conv1/Conv`."""
    for entry in node.metadata_props:
        if entry.key == _SCOPES:
            scopes = ast.literal_eval(entry.value)[:-1]
            return str(scopes[-1]) if scopes else ""
    if "/" not in node.name:
        return None
    path = ""
    for part in node.name.split("/")[:-1]:
        if path and not part.startswith(f"{path.rpartition('.')[2]}."):
            path = f"{path}.{part}"
        elif part:
            path = part if not path else f"{path.rpartition('.')[0]}.{part}".lstrip(".")
    return path


def _tapped(model: ModelProto) -> dict[str, str]:
    """By name, in order: the tensors that depend on an input. Where one is quantized and made
    float again, what comes out of that stands for it: the next layer sees nothing else."""
    live = set(_inputs(model))
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in _reads(node):
            readers.setdefault(name, []).append(node)
    tapped: dict[str, str] = {}
    for node in model.graph.node:
        if not live.intersection(_reads(node)):
            continue
        live.update(name for name in node.output if name)
        name = node.output[0] if node.output else ""
        if node.op_type.lower() in HANDS_ON or not name or _INTERNAL.match(name):
            continue
        if node.op_type == "QuantizeLinear" or name.endswith(_QUANTIZERS):
            continue
        tapped.setdefault(name.removesuffix(HALF), _rounded(name, readers))
    return tapped


def _taps_read(model: ModelProto, taps: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """By tap, the indices of those that it is made of."""
    indices = {name: index for index, name in enumerate(taps)}
    origins: dict[str, tuple[int, ...]] = {}
    taps_read = {}
    for node in model.graph.node:
        read = (index for tensor in _reads(node) for index in origins.get(tensor, ()))
        comes_from = tuple(dict.fromkeys(read))
        origins.update(dict.fromkeys(node.output, comes_from))
        name = node.output[0].removesuffix(HALF) if node.output else ""
        if name in indices and name not in taps_read:
            taps_read[name] = comes_from
            origins[node.output[0]] = (indices[name],)
    return taps_read


def _rounded(name: str, readers: Mapping[str, list[NodeProto]]) -> str:
    for quantize in readers.get(name, []):
        if quantize.op_type == "QuantizeLinear":
            for back in readers.get(quantize.output[0], []):
                if back.op_type == "DequantizeLinear":
                    return str(back.output[0])
    return name


def _operator(made: Mapping[str, NodeProto], name: str) -> str:
    """Of the tensor's name where torch's exporter chose it (`relu_3`), else the node's type."""
    node = made.get(name) or made[name + HALF]
    stem = re.sub(r"_\d+$", "", name)
    return (
        stem
        if re.fullmatch(r"[a-z_][a-z0-9_]*", stem) and _path(node) is not None
        else (node.op_type)
    )


def _inputs(model: ModelProto) -> list[str]:
    stored = {tensor.name for tensor in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in stored]


def _reads(node: NodeProto) -> Iterable[str]:
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            for part in inner.node:
                names += _reads(part)
    return names


def as_float(value: Any) -> Array | None:
    """A tensor of floats as float32; None for any other."""
    if not isinstance(value, np.ndarray) or value.dtype.name not in _TYPES:
        return None
    return value.astype(np.float32)
