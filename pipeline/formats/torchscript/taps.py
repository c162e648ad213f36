"""The tensors inside TorchScript: the code is walked operator by operator, with LibTorch's kernels.

A loaded file has no hooks: its methods call one another inside the interpreter. Here each method's
graph is read, and what it calls is called from Python, so that every value can be looked at, or
replaced, and is freed once nothing reads it any more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.formats.taps import HANDS_ON, NotWalkableError, Origins, Tap, inside_graph, tensors
from pipeline.formats.torchscript.load import load_script
from pipeline.graph.array import Array

# (index of the tap, its value) → what the operators behind it read instead, None for the same
Change = Callable[[int, Tensor], Tensor | None]


@dataclass(frozen=True)
class _Module:
    """A submodule, and where it lies."""

    module: Any
    path: str


class ScriptSource:
    """A TorchScript file as a source of taps."""

    def __init__(self, path: Path) -> None:
        with inside_graph(f"torch does not take {path.name}"):
            self.module = load_script(path).eval()

    def taps(self, inputs: list[Array]) -> list[Tap]:
        walk = _Walk(lambda index, value: None)
        walk.run(self.module, inputs)
        return walk.taps

    def stream(self, inputs: list[Array], change: Change) -> list[Tensor]:
        """The outputs; `change` sees every tap in order."""
        return _Walk(change).run(self.module, inputs)


class _Walk:
    def __init__(self, change: Change) -> None:
        self.change = change
        self.taps: list[Tap] = []
        self.origins = Origins()

    def run(self, module: Any, inputs: list[Array]) -> list[Tensor]:
        arrays = [torch.from_numpy(array.copy()) for array in inputs]
        with torch.no_grad():
            outputs = self._method(_Module(module, ""), "forward", arrays)
        return list(outputs) if isinstance(outputs, tuple | list) else [outputs]

    def _method(self, owner: _Module, name: str, arguments: Sequence[Any]) -> Any:
        method = owner.module._c._get_method(name)
        graph = method.graph
        if any(node.kind() == "prim::CallFunction" for node in graph.nodes()) or _calls(graph):
            graph = graph.copy()
            torch._C._jit_pass_inline(graph)  # functions cannot be looked up by name from here
        names = [value.debugName() for value in graph.inputs()]
        env: dict[str, Any] = dict(zip(names, (owner, *arguments), strict=True))
        self._block(graph, env, owner.path)
        outputs = [env[value.debugName()] for value in graph.outputs()]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _block(self, block: Any, env: dict[str, Any], path: str) -> None:
        nodes = list(block.nodes())
        last: dict[str, int] = {}
        for index, node in enumerate(nodes):
            last.update(dict.fromkeys(_read(node), index))
        kept = {value.debugName() for value in block.outputs()}
        local = {value.debugName() for node in nodes for value in node.outputs()}
        for index, node in enumerate(nodes):
            outputs = list(node.outputs())
            answer = self._node(node, env, path)
            values = [answer] if len(outputs) == 1 else list(answer or ())
            for value, result in zip(outputs, values, strict=True):
                env[value.debugName()] = result
            for name in _read(node):
                if last[name] == index and name in local and name not in kept:
                    env.pop(name, None)

    def _node(self, node: Any, env: dict[str, Any], path: str) -> Any:
        kind = node.kind()
        if kind in ("prim::If", "prim::Loop"):
            return (self._if if kind == "prim::If" else self._loop)(node, env, path)
        inputs = [env[value.debugName()] for value in node.inputs()]
        if kind == "prim::CallMethod" and isinstance(inputs[0], _Module):
            return self._method(inputs[0], node.s("name"), inputs[1:])
        with inside_graph(f"{kind} of the file cannot be walked through"):
            value = _evaluated(node, inputs)
        if kind in ("prim::GetAttr", "prim::CallMethod", *_BUILT_IN):
            return value
        return self._tapped(kind, value, path, self.origins.of(inputs))

    def _tapped(self, kind: str, result: Any, path: str, reads: tuple[int, ...]) -> Any:
        single = isinstance(result, Tensor)
        first = next(tensors([result]), None) if single or isinstance(result, tuple) else None
        computes = first is not None and (first.is_floating_point() or first.is_quantized)
        if first is None or not computes or kind.rpartition("::")[2] in HANDS_ON:
            for part in tensors([result]):
                self.origins.note(part, reads)
            return result
        index = len(self.taps)
        self.taps.append(Tap(f"{path}#{index}", path, kind, reads, 4 * first.numel()))
        self.origins.note(first, (index,))
        changed = self.change(index, first)
        if changed is None:
            return result
        return changed if single else (changed, *result[1:])

    def _if(self, node: Any, env: dict[str, Any], path: str) -> Any:
        condition = bool(env[next(iter(node.inputs())).debugName()])
        block = list(node.blocks())[0 if condition else 1]
        self._block(block, env, path)
        return _one_or_all([env[value.debugName()] for value in block.outputs()])

    def _loop(self, node: Any, env: dict[str, Any], path: str) -> Any:
        most, going, *carried = [env[value.debugName()] for value in node.inputs()]
        (block,) = node.blocks()
        names = [value.debugName() for value in block.inputs()]
        step = 0
        while going and step < most:
            env.update(zip(names, (step, *carried), strict=True))
            self._block(block, env, path)
            going, *carried = [env[value.debugName()] for value in block.outputs()]
            step += 1
        return _one_or_all(carried)


def _one_or_all(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _read(node: Any) -> list[str]:
    """What a node and the blocks inside it read."""
    names = [value.debugName() for value in node.inputs()]
    for block in node.blocks():
        names += [value.debugName() for value in block.outputs()]
        for inner in block.nodes():
            names += _read(inner)
    return names


def _calls(block: Any) -> bool:
    return any(
        inner.kind() == "prim::CallFunction" or _calls(part)
        for node in block.nodes()
        for part in node.blocks()
        for inner in part.nodes()
    )


def _attribute(owner: Any, name: str) -> Any:
    if not isinstance(owner, _Module):
        return getattr(owner, name)
    value = getattr(owner.module, name)
    if isinstance(value, torch.jit.ScriptModule):
        return _Module(value, f"{owner.path}.{name}" if owner.path else name)
    return value


def _raise(node: Any, inputs: list[Any]) -> Any:
    raise RuntimeError(str(inputs[0]))


_BUILT_IN: dict[str, Callable[[Any, list[Any]], Any]] = {
    "prim::Constant": lambda node, inputs: node.output().toIValue(),
    "prim::ListConstruct": lambda node, inputs: inputs,
    "prim::TupleConstruct": lambda node, inputs: tuple(inputs),
    "prim::DictConstruct": lambda node, inputs: dict(zip(inputs[::2], inputs[1::2], strict=True)),
    "prim::ListUnpack": lambda node, inputs: _one_or_all(list(inputs[0])),
    "prim::TupleUnpack": lambda node, inputs: _one_or_all(list(inputs[0])),
    "prim::TupleIndex": lambda node, inputs: inputs[0][inputs[1]],
    "prim::unchecked_cast": lambda node, inputs: inputs[0],
    "prim::Uninitialized": lambda node, inputs: None,
    "prim::RaiseException": _raise,
    "aten::__is__": lambda node, inputs: inputs[0] is inputs[1],
    "aten::__isnot__": lambda node, inputs: inputs[0] is not inputs[1],
    "aten::__not__": lambda node, inputs: not inputs[0],
    "aten::len": lambda node, inputs: len(inputs[0]),
    "aten::__getitem__": lambda node, inputs: inputs[0][inputs[1]],
    "aten::append": lambda node, inputs: [inputs[0].append(inputs[1]), inputs[0]][1],
}


def _evaluated(node: Any, inputs: list[Any]) -> Any:
    """What a node gives that is neither control flow nor a method of a module."""
    kind = node.kind()
    if kind == "prim::GetAttr":
        return _attribute(inputs[0], node.s("name"))
    if kind == "prim::CallMethod":
        return getattr(inputs[0], node.s("name"))(*inputs[1:])
    if kind in _BUILT_IN:
        return _BUILT_IN[kind](node, inputs)
    return _call(node, inputs)


def _call(node: Any, inputs: list[Any]) -> Any:
    operator, names = _operator(node.kind(), node.schema())
    positional = [value for value, name in zip(inputs, names, strict=False) if name is None]
    named = {name: value for value, name in zip(inputs, names, strict=False) if name is not None}
    return operator(*positional, **named)


@cache
def _operator(kind: str, schema: str) -> tuple[Callable[..., Any], list[str | None]]:
    """What to call, and for each argument its name where it must be given by name."""
    if "(" not in schema:
        raise NotWalkableError(f"{kind} is not an operator that can be run on its own")
    parsed = torch._C.parse_schema(schema)
    names = [argument.name if argument.kwarg_only else None for argument in parsed.arguments]
    overload = torch._C._get_operation_overload(parsed.name, parsed.overload_name)
    if overload is not None:
        return overload[0], names
    return torch._C._jit_get_operation(parsed.name)[0], names
