"""The model as a graph of torch.fx that has lost no operation, and that with observers in it.

torch.fx follows values, not memory: of `h.clamp_(max=1)` as a statement it keeps a node that nobody
reads, which torch.ao then drops without a word, and `h += 1` becomes a sum that other names of `h`
do not see. Here what reads a tensor after a write reads what the write gives, where that is surely
the same. All else is refused, and so is a graph that does not answer as the model does.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.nn.quantized import FloatFunctional, FXFloatFunctional
from torch.ao.quantization import QConfigMapping
from torch.ao.quantization.fx.fuse import fuse
from torch.ao.quantization.fx.prepare import prepare
from torch.ao.quantization.fx.tracer import QuantizationTracer
from torch.fx import GraphModule

from pipeline.errors import UsageError
from pipeline.graph.inline import inlined_functions
from pipeline.graph.wrap import flatten
from pipeline.project.library import library
from pipeline.quantize.recipes import Task
from pipeline.quantize.torchscript.trace import SAME, Inputs, Parts, rows_of
from pipeline.quantize.torchscript.writes import lines_that_write, read_through

Answers = list[tuple[Tensor, ...]]

RECIPE = "torchscript int8-static"
FEW = 2  # samples that are watched: all that flows in the graph is kept for the while
FUSED = 1e-3  # of the largest magnitude: a batch norm folded into its layer rounds otherwise
UNTRACEABLE = (
    'Write "onnx:int8-static" in [quantize] recipes instead of "int8-static", or build the model '
    "without Python branches on values and shapes of tensors."
)
WITHOUT_WRITES = (
    "Write it without changing a tensor in place, as in h = h.clamp(max=1), or "
    '"onnx:int8-static" in [quantize] recipes instead of "int8-static".'
)
UNFUSED = (
    'Write "onnx:int8-static" in [quantize] recipes instead of "int8-static", or give each norm a '
    "layer of its own."
)


class Traced:
    """The user's model as a graph that answers as the model does, on some inputs of the core.

    Raises UsageError for a model that torch.fx does not follow, or follows wrongly.
    """

    def __init__(self, task: Task, parts: Parts, inputs: Sequence[Inputs]) -> None:
        """`parts.core.model` is the user's model, before and after."""
        self.task, self.parts, self.inputs = task, parts, inputs
        model, root = parts.core.model, task.config.root
        with library(f"{RECIPE}: running the model", root, UNTRACEABLE):
            self._expected = list(self._answers(model))
        tracer = QuantizationTracer([], [])
        with library(f"{RECIPE}: tracing the model symbolically (torch.fx)", root, UNTRACEABLE):
            _swap_functionals(model)
            with inlined_functions():
                self.graph = GraphModule(model, tracer.trace(model))
            self._scopes = tracer.node_name_to_scope
            lost = read_through(self.graph, self._arguments(), root)
        if lost:
            raise UsageError(f"{RECIPE}: {lost}.", WITHOUT_WRITES)
        self.graph.graph.eliminate_dead_code()
        self.graph.recompile()
        with library(f"{RECIPE}: running torch.fx's graph of the model", root, UNTRACEABLE):
            given = list(self._answers(self.graph))
        self._compare(given)

    def observed(self, mapping: QConfigMapping) -> Any:
        """A copy with layers fused and observers around them, as `prepare_fx` makes it."""
        with library(f"{RECIPE}: placing observers (torch.ao)", self.task.config.root, UNTRACEABLE):
            fused = fuse(copy.deepcopy(self.graph), False)
            return prepare(fused, mapping, False, self._scopes, self.inputs[0])

    def check_fused(self, number: int, given: object) -> None:
        """Raises UsageError where fusing has changed the answers to the inputs of that number."""
        if number >= len(self._expected):
            return
        apart = _apart([flatten(given)], [self._expected[number]], FUSED)
        if apart is not None:
            what = "the model with batch norms folded into its layers (torch.ao)"
            raise UsageError(f"{RECIPE}: {what} {apart} than the model itself.", UNFUSED)

    def _answers(self, model: nn.Module) -> Iterator[tuple[Tensor, ...]]:
        core, before = self.parts.core, self.parts.core.model
        core.model = model
        try:
            for batch in self.inputs:
                with torch.no_grad():
                    yield flatten(core(*(tensor.clone() for tensor in batch)))
        finally:
            core.model = before

    def _compare(self, given: Answers) -> None:
        apart = _apart(given, self._expected, SAME)
        if apart is None:
            return
        core, root = self.parts.core, self.task.config.root
        writes = lines_that_write(lambda: core(*(t.clone() for t in self.inputs[0])), root)
        hint = WITHOUT_WRITES if writes else UNTRACEABLE
        places = "".join(f"\n  {line}" for line in writes)
        places = places and f" Lines that change a tensor in place:{places}"
        what = "torch.fx's graph of the model"
        raise UsageError(f"{RECIPE}: {what} {apart} than the model itself.{places}", hint)

    def _arguments(self) -> tuple[Any, ...]:
        """The first inputs, or two samples of them, as the graph's placeholders take them."""
        core, signature = self.parts.core, self.task.signature
        count = min(signature.fixed_batch or FEW, signature.samples_of(self.inputs[0]))
        few = rows_of(signature, self.inputs[0], range(count))
        given = tuple(tensor.clone() for tensor in few)
        if not core.keywords:
            return given
        named = dict(zip(core.input_names, given, strict=True))
        places = [node for node in self.graph.graph.nodes if node.op == "placeholder"]
        return tuple(named.get(p.target, p.args[0] if p.args else None) for p in places)


def _swap_functionals(model: nn.Module) -> None:
    """torch.fx follows `FloatFunctional` as torch's other form of it."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, FloatFunctional):
                setattr(module, name, FXFloatFunctional())


def _apart(given: Answers, expected: Answers, relative: float) -> str | None:
    """How answers differ, None where they are the same but for rounding."""
    for answers, others in zip(given, expected, strict=True):
        if len(answers) != len(others):
            return f"gives {len(answers)} outputs, others"
        for one, other in zip(answers, others, strict=True):
            if one.shape != other.shape or one.dtype != other.dtype:
                return f"gives {one.dtype}{list(one.shape)}, otherwise"
            largest = other[other.isfinite()].abs().max().item() if other.numel() else 0.0
            if not torch.allclose(
                one, other, rtol=0, atol=relative * (1 + largest), equal_nan=True
            ):
                distance = (one.double() - other.double()).abs().max().item()
                return f"gives other answers (by {distance:.2g}, of {largest:.2g})"
    return None
