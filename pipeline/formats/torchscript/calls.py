"""How often each operator stands in the graph that `forward` gives, read from the code's text.

Counted is what the text calls by name: `x[0]` of a list, `int(x)` and the like compute no layer.

What torch prints is Python as far as a parser goes, so its own parser reads it; calls of methods
and functions are followed through the types that the text declares. Nothing is run.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.formats.torchscript.archive import Unsafe

_NOT_COUNTED = ("prim::", "aten::device")  # bookkeeping, and what is printed of a constant


@dataclass
class _Class:
    attributes: dict[str, str] = field(default_factory=dict)
    methods: dict[str, ast.FunctionDef] = field(default_factory=dict)


class Calls:
    """The classes and functions of an archive's code."""

    def __init__(self, code: Mapping[bytes, bytes]) -> None:
        self.classes: dict[str, _Class] = {}
        self.functions: dict[str, ast.FunctionDef] = {}
        self._counted: dict[int, Counter[str]] = {}
        for name, text in code.items():
            module = name.decode().removeprefix("code/").removesuffix(".py").replace("/", ".")
            for node in _parsed(name, text).body:
                if isinstance(node, ast.ClassDef):
                    self.classes[f"{module}.{node.name}"] = _class(node)
                elif isinstance(node, ast.FunctionDef):
                    self.functions[f"{module}.{node.name}"] = node

    def forward(self, type_: str) -> ast.FunctionDef | None:
        """The method of that class that a caller of the model calls."""
        known = self.classes.get(type_)
        return known.methods.get("forward") if known else None

    def operators(self, function: ast.FunctionDef) -> Counter[str]:
        """`aten::relu`, `quantized::linear`: of the function and of all that it calls."""
        known = self._counted.get(id(function))
        if known is None:
            self._counted[id(function)] = Counter()  # what calls itself counts once
            known = Counter(_Function(self, function).count())
            self._counted[id(function)] = known
        return known


class _Function:
    """One function, whose local names have the types that the text gives them."""

    def __init__(self, calls: Calls, function: ast.FunctionDef) -> None:
        self.calls = calls
        self.function = function
        self.types = {a.arg: _text(a.annotation) for a in function.args.args if a.annotation}

    def count(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for node in _in_order(self.function):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                self._assign(node.targets[0], node.value)
            elif isinstance(node, ast.Call):
                name = _operator(node.func)
                if name and not name.startswith(_NOT_COUNTED):
                    total[name] += 1
                callee = self._callee(node.func)
                if callee is not None:
                    total.update(self.calls.operators(callee))
        return total

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.types[target.id] = self._type(value)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, other in zip(target.elts, value.elts, strict=False):
                self._assign(one, other)

    def _callee(self, called: ast.expr) -> ast.FunctionDef | None:
        if isinstance(called, ast.Attribute):
            type_ = self._type(called.value)
            if type_ in self.calls.classes:
                return self.calls.classes[type_].methods.get(called.attr)
        name = self.types.get(called.id) if isinstance(called, ast.Name) else None
        return self.calls.functions.get(name or _text(called))

    def _type(self, value: ast.expr) -> str:
        """The qualified name of a value's class, or of the function that it is; "" where it is
        none of the archive's."""
        if _text(value) in self.calls.functions:
            return _text(value)
        if isinstance(value, ast.Name):
            return self.types.get(value.id, "")
        if isinstance(value, ast.Attribute):
            return self._attribute(value.value, value.attr)
        if isinstance(value, ast.Call):
            if isinstance(value.func, ast.Name) and value.func.id == "getattr":
                of, name = value.args
                return self._attribute(of, str(getattr(name, "value", "")))
            callee = self._callee(value.func)
            return _text(callee.returns) if callee and callee.returns else ""
        return ""

    def _attribute(self, of: ast.expr, name: str) -> str:
        known = self.calls.classes.get(self._type(of))
        return known.attributes.get(name, "") if known else ""


def _parsed(name: bytes, text: bytes) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise Unsafe(
            f"'{name.decode('ascii')}' is not code as torch writes it: {error}."
        ) from error


def _class(node: ast.ClassDef) -> _Class:
    described = _Class()
    for part in node.body:
        if isinstance(part, ast.FunctionDef):
            described.methods[part.name] = part
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
            described.attributes[part.target.id] = _text(part.annotation)
        elif isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Subscript):
            key = part.targets[0].slice  # __annotations__["0"] = __torch__.torch.nn.Linear
            if isinstance(key, ast.Constant):
                described.attributes[str(key.value)] = _text(part.value)
    return described


def _text(node: ast.expr | None) -> str:
    """`__torch__.torch.nn.Linear` of such a chain of names, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _text(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _operator(called: ast.expr) -> str | None:
    """What an expression that is called names: torch.relu, ops.quantized.linear."""
    first, *rest = _text(called).split(".")
    if first == "torch" and len(rest) == 1:
        return f"aten::{rest[0]}"
    if first == "ops" and len(rest) == 2:
        return f"{rest[0]}::{rest[1]}"
    return None


def _in_order(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Every node inside in the order of the text, but an assignment after what it assigns."""
    pending: list[tuple[ast.AST, bool]] = [(function, False)]
    while pending:
        node, last = pending.pop()
        if last or not isinstance(node, ast.Assign):
            yield node
        if not last:
            if isinstance(node, ast.Assign):
                pending.append((node, True))
            pending.extend((inner, False) for inner in reversed(list(ast.iter_child_nodes(node))))
