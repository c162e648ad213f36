"""Listens to tracers and exporters: what they warn of is gathered, never printed."""

import contextlib
import linecache
import logging
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch.jit import TracerWarning  # type: ignore[attr-defined]

from pipeline.system.progress import Reporter
from pipeline.system.silence import silence

# Sentences of exporters that say nothing about the model.
_IDLE = re.compile(
    r"axis name: .* will not be used, since it shares the same shape constraints"  # it is the same
    r"|no signature found for <torch\.ScriptMethod"  # inputs are given by position
    r"|Skipped deduplication of initializer"  # it is an output, and stays one
    r"|Skipping constant folding"
    r"|The tensor attributes? .* (was|were) assigned during export"  # of a copy that goes
    r"|ONNX export mode is set to TrainingMode\.EVAL, but operator"  # without statistics of its own
)
_OWN = str(Path(__file__).parents[1])
_LOGGERS = ("torch", "onnxscript", "onnx_ir", "onnx", "onnxruntime")
_SHOWN = 3  # places or sentences in one warning
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class ExportFailedError(Exception):
    """An exporter's refusal, in one sentence."""


@dataclass(frozen=True)
class Place:
    """A line of Python whose outcome a trace has fixed."""

    file: str
    line: int
    source: str

    @property
    def of_user(self) -> bool:
        return "site-packages" not in self.file and not self.file.startswith(_OWN)

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}: {self.source.removesuffix(':')}"


@dataclass
class Diagnostics:
    """`places` come from the tracer, `texts` are other warnings, each once."""

    places: list[Place] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        plain = first_sentence(text)
        if plain and not _IDLE.search(plain) and plain not in self.texts:
            self.texts.append(plain)

    def add_place(self, place: Place) -> None:
        """The user's own lines stand before those of libraries."""
        if place not in self.places:
            self.places.append(place)
            self.places.sort(key=lambda known: not known.of_user)


@contextlib.contextmanager
def collected() -> Iterator[Diagnostics]:
    """Gathers Python warnings and the log records of torch and onnx, and drops what they print.

    Deprecation of torch's own interfaces is not for the user, so it is dropped.
    """
    diagnostics = Diagnostics()
    with warnings.catch_warnings(record=True) as caught, _logs(diagnostics), silence():
        warnings.simplefilter("always")
        try:
            yield diagnostics
        finally:
            for warning in caught:
                _sort(diagnostics, warning)


def warn_about(report: Reporter, what: str, diagnostics: Diagnostics) -> None:
    """Hands the diagnostics to the user, in one warning a kind. Lines of libraries are theirs."""
    places = _some([str(place) for place in diagnostics.places if place.of_user])
    if places:
        report.warn(
            f"{what}: the outcome of {places} was fixed "
            "while tracing; on other sizes and values the result was the same as PyTorch's."
        )
    if diagnostics.texts:
        report.warn(f"{what}: {_some(diagnostics.texts)}")


def first_sentence(text: str) -> str:
    """A library's message without colours, line breaks, addresses and advice."""
    lines = [line.strip() for line in _COLOUR.sub("", text).strip().splitlines()]
    line = next((line for line in lines if line), "")
    line = re.sub(r"\s*\(?(?:https?://\S+)\)?", "", line)
    sentence = re.split(r"(?<=[a-z0-9)`'\"])\. (?=[A-Z])", line)[0]
    return sentence if len(sentence) <= 240 else f"{sentence[:237]}..."


def _sort(diagnostics: Diagnostics, warning: warnings.WarningMessage) -> None:
    if issubclass(warning.category, TracerWarning):
        source = linecache.getline(warning.filename, warning.lineno).strip()
        diagnostics.add_place(Place(warning.filename, warning.lineno, source))
    elif not issubclass(
        warning.category, FutureWarning | DeprecationWarning | PendingDeprecationWarning
    ):
        diagnostics.add(str(warning.message))


class _Handler(logging.Handler):
    def __init__(self, diagnostics: Diagnostics) -> None:
        super().__init__(logging.WARNING)
        self.diagnostics = diagnostics

    def emit(self, record: logging.LogRecord) -> None:
        self.diagnostics.add(record.getMessage())


@contextlib.contextmanager
def _logs(diagnostics: Diagnostics) -> Iterator[None]:
    """Puts one handler in place of those that torch's loggers have, and puts them back."""
    known = [logging.getLogger(name) for name in _LOGGERS]
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith(tuple(f"{top}." for top in _LOGGERS)) and isinstance(
            logger, logging.Logger
        ):
            known.append(logger)
    before = [(logger, logger.handlers, logger.propagate) for logger in known]
    handler = _Handler(diagnostics)
    for logger in known:
        top = logger.name in _LOGGERS
        logger.handlers = [handler] if top or not logger.propagate else []
        logger.propagate = not top and logger.propagate
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate


def _some(items: list[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return "; ".join(items[:_SHOWN]) + more
