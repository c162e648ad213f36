"""The text of TorchScript as torch's printer writes it, cut into tokens.

It is a small part of Python: no comments, one kind of string, no line goes on behind a backslash.
Whatever the printer does not write is refused, so that no other reader can take the text for
something else.
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from pipeline.formats.torchscript.archive import quoted, refuse

NAME, NUMBER, STRING, SYMBOL, LINE_END = "name", "number", "string", "symbol", "line end"

_MAX_BYTES = 1 << 24  # timm's largest has 33 KB
_MAX_BRACKETS = 200  # timm's deepest has 10
_MAX_INDENT = 400  # blanks; two a level
_MAX_RUN = 2000  # tokens without a comma or a line's end

_TOKEN = re.compile(
    rb"""(?P<blank>[ ]+)
    |(?P<newline>\n)
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*")
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9](?:[eE][-+]?|[A-Za-z0-9_.])*)  # 1, 0.5, 1., 1e-05, 2j
    |(?P<symbol>[()\[\]{}.,:=>-])
    """,
    re.VERBOSE,
)
_THREE_QUOTES = "it has a string of three quotes"
_BLANKS = re.compile(rb" *")


@dataclass(frozen=True, slots=True)
class Token:
    """`first`: of its line, in its first column. `text` of a string is what stands between the
    quotes, escapes as they are."""

    kind: str
    first: bool
    line: int
    text: bytes


def refuse_code(file: bytes, line: int, why: str) -> NoReturn:
    refuse(f"{quoted(file)}, line {line}: {why}")


def tokens_of(file: bytes, text: bytes) -> list[Token]:
    """Raises Unsafe, naming `file` and the line. What is nested too deep, or goes on too long, for
    a parser that recurses is refused too."""
    if len(text) > _MAX_BYTES:
        refuse_code(file, 1, "it has more than 16 MiB")
    return _Tokenizer(file, text).run()


class _Tokenizer:
    def __init__(self, file: bytes, text: bytes) -> None:
        self.file = file
        self.text = text
        self.tokens: list[Token] = []
        self.at = 0
        self.column_zero = 0
        self.brackets = 0
        self.length = 0  # of the expression so far, in tokens
        self.line = 1

    def run(self) -> list[Token]:
        while self.at < len(self.text):
            match = _TOKEN.match(self.text, self.at)
            if match is None:
                self._refuse_character()
            kind = str(match.lastgroup)
            if kind == "newline":
                self._end_line()
            elif kind != "blank":
                self._add(kind, match.group())
            self.at = match.end()
        if self.brackets:
            self._refuse("a bracket is not closed")
        return self.tokens

    def _end_line(self) -> None:
        """Inside brackets a line goes on."""
        start = self.at + 1
        if not self.brackets:
            self._push(LINE_END, b"\n")
            self.length = 0
        self.line, self.column_zero = self.line + 1, start
        indent = _BLANKS.match(self.text, start)
        assert indent is not None
        deep = indent.end() - start > _MAX_INDENT and indent.end() < len(self.text)
        if deep and not self.brackets:
            self._refuse("it is indented more than 200 levels deep")

    def _add(self, kind: str, word: bytes) -> None:
        if kind == STRING:
            if self.text.startswith(b'"""', self.at):
                self._refuse(_THREE_QUOTES)
            word = word[1:-1]
        elif word == b",":
            self.length = 0
        elif kind == SYMBOL:
            self._count(word)
        self._push(kind, word)

    def _count(self, symbol: bytes) -> None:
        if symbol in b"([{":
            self.brackets += 1
            if self.brackets > _MAX_BRACKETS:
                self._refuse("more than 200 brackets are open")
        elif symbol in b")]}":
            if not self.brackets:
                self._refuse("a bracket is closed that is not open")
            self.brackets -= 1

    def _push(self, kind: str, word: bytes) -> None:
        self.length += 1
        if self.length > _MAX_RUN:
            self._refuse("an expression has more than 2000 parts")
        self.tokens.append(Token(kind, self.at == self.column_zero, self.line, word))

    def _refuse(self, why: str) -> NoReturn:
        refuse_code(self.file, self.line, why)

    def _refuse_character(self) -> NoReturn:
        if self.text.startswith(b'"', self.at):
            three = self.text.startswith(b'"""', self.at)
            self._refuse(_THREE_QUOTES if three else "a string has no end")
        character = quoted(self.text[self.at : self.at + 1])
        self._refuse(f"it has the character {character}, which torch does not write")
