"""The code of a TorchScript archive: which names it defines, and that it uses no operators but
those of operators.txt."""

from collections.abc import Mapping, Set
from itertools import pairwise
from typing import NoReturn

from pipeline.formats.operators import operators
from pipeline.formats.torchscript.archive import quoted
from pipeline.formats.torchscript.tokens import LINE_END, NAME, STRING, SYMBOL, Token, refuse_code

# They print, start threads, or have no place in what torch prints.
_REFUSED_NAMES = frozenset(
    b"awaitable awaitable_nowait awaitable_wait elif fork from global import print".split()
)
_CUSTOM_CLASSES = "__torch__.torch.classes."


def definitions_of(files: Mapping[bytes, list[Token]]) -> frozenset[str]:
    """The classes and functions of code files by their names ("code/__torch__/net.py"), as
    "__torch__.net.Net". Raises Unsafe, naming the file and the line, for anything else in them."""
    definitions: set[str] = set()
    for name, tokens in files.items():
        _add_definitions(name, tokens, definitions)
    return frozenset(definitions)


def check_operators(files: Mapping[bytes, list[Token]], definitions: Set[str]) -> None:
    """Raises Unsafe, naming the file and the line, where code uses what is not allowed."""
    for name, tokens in files.items():
        _Checker(name, tokens, definitions).run()


def is_defined(name: str, definitions: Set[str]) -> bool:
    """Whether a name is of a class or function of the archive, or a part of one (a value of an
    Enum), or of a class of torch's own that is allowed."""
    if name.startswith(_CUSTOM_CLASSES):
        return name in operators().classes
    while name:
        if name in definitions:
            return True
        name = name.rpartition(".")[0]
    return False


def _add_definitions(file: bytes, tokens: list[Token], definitions: set[str]) -> None:
    module = file.removeprefix(b"code/").removesuffix(b".py").replace(b"/", b".").decode("ascii")
    for token, after in pairwise(tokens):
        if not token.first or token.kind == LINE_END:
            continue
        if token.text not in (b"class", b"def") or after.kind != NAME:
            refuse_code(file, token.line, "it has something besides classes and functions")
        name = f"{module}.{after.text.decode('ascii')}"
        if name in definitions:
            refuse_code(file, token.line, f"{quoted(after.text)} is defined twice")
        definitions.add(name)


def _opened(symbol: bytes) -> int:
    """1 for a bracket that opens, -1 for one that closes, else 0."""
    return (symbol in b"([{") - (symbol in b")]}")


class _Checker:
    """Goes through the tokens of one file."""

    def __init__(self, file: bytes, tokens: list[Token], definitions: Set[str]) -> None:
        self.file = file
        self.tokens = tokens
        self.definitions = definitions
        self.at = 0
        self.depth = 0  # brackets that are open

    def run(self) -> None:
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind == NAME:
                self._keyword(token.text)
                self._name(token.text)
            elif token.kind == SYMBOL:
                self.depth += _opened(token.text)
            self.at += 1

    def _keyword(self, name: bytes) -> None:
        """torch.add(x, y, out=z): the kernels trust `out`."""
        before = self._is(self.at - 1, b"(") or self._is(self.at - 1, b",")
        if not (self.depth > 0 and before and self._is(self.at + 1, b"=")):
            return
        if name.decode("ascii") in operators().keywords:
            self._refuse(
                f"it gives an operator memory to write into, {quoted(name)}, which is not allowed"
            )

    def _name(self, name: bytes) -> None:
        """Leaves `at` on the last token that belongs to the name."""
        if self._is(self.at - 1, b"."):
            self._attribute(name)
        elif name == b"torch":
            self._operator(b"aten")
        elif name == b"ops":
            self._operator(self._after_dot())
        elif name == b"CONSTANTS":
            self._after_dot()
        elif name == b"__torch__":
            self._qualified()
        elif name == b"getattr":
            self._getattr()
        elif name in _REFUSED_NAMES:
            self._refuse(f"it uses {quoted(name)}, which is not allowed")

    def _attribute(self, name: bytes) -> None:
        """Code may call an operator as a method of its first argument."""
        if name.decode("utf-8", "replace") in operators().refused:
            self._refuse(f"it uses the name {quoted(name)}, an operator that is not allowed")

    def _after_dot(self) -> bytes:
        """Moves from a name to the one behind the dot that must follow: `torch` alone could be
        given another name, under which nobody would find what is called."""
        dotted = self._is(self.at + 1, b".") and self._kind(self.at + 2) == NAME
        if not dotted:
            self._refuse(f"{quoted(self.tokens[self.at].text)} stands alone")
        self.at += 2
        return self.tokens[self.at].text

    def _operator(self, space: bytes) -> None:
        name = f"{space.decode('ascii')}::{self._after_dot().decode('ascii')}"
        if name not in operators().allowed:
            self._refuse(f"it uses the operator {name}, which is not allowed")
        if self._is(self.at + 1, b"."):
            self.at += 1
            self._refuse(f"it looks for something in the operator {name}")

    def _qualified(self) -> None:
        name = self.tokens[self.at].text
        while self._is(self.at + 1, b"."):
            name += b"." + self._after_dot()
        if not is_defined(name.decode("ascii"), self.definitions):
            self._refuse(f"it uses {quoted(name)}, which the archive does not define")

    def _getattr(self) -> None:
        """getattr(object, "name"): the name is an attribute's."""
        depth = 0
        for index in range(self.at + 1, len(self.tokens)):
            if self.tokens[index].kind == SYMBOL:
                depth += _opened(self.tokens[index].text)
            if depth == 0:
                break
            if depth == 1 and self._is(index, b","):
                if self._kind(index + 1) != STRING or not self._is(index + 2, b")"):
                    break
                name = self.tokens[index + 1].text
                if b"\\" in name:
                    self._refuse("getattr has a name with escapes")
                self._attribute(name)
                return
        self._refuse("getattr is not used as torch writes it")

    def _is(self, index: int, symbol: bytes) -> bool:
        return self._kind(index) == SYMBOL and self.tokens[index].text == symbol

    def _kind(self, index: int) -> str | None:
        return self.tokens[index].kind if 0 <= index < len(self.tokens) else None

    def _refuse(self, why: str) -> NoReturn:
        line = self.tokens[min(self.at, len(self.tokens) - 1)].line
        refuse_code(self.file, line, why)
