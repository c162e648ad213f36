"""TorchScript: the user's model traced or scripted, in a shell that calls it as the signature says.

The shell is written in TorchScript itself, because torch.jit.script takes no `*inputs`:

    def forward(self, image: Tensor) -> Tensor:
        answer_ = self.model(self.pre(image))
        return torch.softmax(answer_, -1)
"""

import inspect
import keyword
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.export.agree import SAME_KERNELS, Agreement, compare
from pipeline.export.diagnostics import Diagnostics, ExportFailedError, collected, first_sentence
from pipeline.export.probe import Case, Probe, Tensors
from pipeline.graph.inline import inlined_functions, python_calls
from pipeline.graph.structure import nested
from pipeline.graph.tracing import buffers_kept, sizes_as_keys
from pipeline.graph.wrap import Wrapped, flatten, pre_attribute, prepared
from pipeline.measure.conditioning import Conditioning

CaptureMethod = Literal["trace", "script", "file"]


@dataclass(frozen=True)
class Captured:
    """The user's model as TorchScript. `shell` takes what a caller has, `core` what comes out of
    the preprocessing (the same, where there is none)."""

    method: CaptureMethod
    shell: torch.jit.ScriptModule
    core: torch.jit.ScriptModule
    diagnostics: Diagnostics
    agreement: Agreement
    why_not_trace: str = ""


class Exported(torch.jit.ScriptModule):
    """Preprocessing and model; `define` adds the forward.

    torch gives modules of equal attributes and constants one type, which has one forward: as a
    constant, the source keeps apart what differs in it alone.
    """

    __constants__ = ("source",)

    def __init__(
        self, images: Mapping[str, nn.Module], model: torch.jit.ScriptModule, source: str
    ) -> None:
        super().__init__()
        self.source = source
        for attribute, image in images.items():
            setattr(self, attribute, torch.jit.script(image))
        self.model = model


def capture(
    config: Config, fresh: Callable[[], Wrapped], probe: Probe, conditioning: Conditioning
) -> Captured:
    """Traces, scripts, or takes the model as it is, and compares on every case of the probe.

    `fresh` gives a model that nothing has run through: what a forward keeps from one call for the
    next, such as a grid of the last size, would be written as a constant. Raises UsageError that
    names what was found in the model's way.
    """
    model = fresh()
    if isinstance(model.model, torch.jit.ScriptModule):
        return _from_file(config, model, probe, conditioning)
    wanted = config.export.capture
    failures = []
    diagnostics = Diagnostics()
    if wanted in ("auto", "trace"):
        with collected() as diagnostics:
            traced = _attempt("trace", model, probe, conditioning)
        if isinstance(traced, Captured):
            return Captured("trace", traced.shell, traced.core, diagnostics, traced.agreement)
        failures.append(f"trace: {traced}")
    # Lines of libraries only where no line of the user's is among them.
    own = [place for place in diagnostics.places if place.of_user] or diagnostics.places
    places = "".join(f"\n    {place}" for place in own[:5])
    if places:
        failures[-1] += f"\n  lines whose outcome depends on the input:{places}"
    if wanted in ("auto", "script"):
        with collected() as script_diagnostics:
            # Behind a trace, another: that one has run.
            again = fresh() if failures else model
            scripted = _attempt("script", again, probe, conditioning)
        if isinstance(scripted, Captured):
            why = "\n".join(failures)
            return Captured(
                "script", scripted.shell, scripted.core, script_diagnostics, scripted.agreement, why
            )
        failures.append(f"script: {scripted}")
    raise UsageError(
        "TorchScript cannot capture the model.\n  " + "\n  ".join(failures), _remedy(wanted)
    )


def _remedy(wanted: str) -> str:
    if wanted != "auto":
        return '[export] capture = "auto" tries both ways.'
    return (
        "Write the branch with torch.where and sizes as x.shape[0], or annotate the model so that "
        'torch.jit.script compiles it; or leave TorchScript out: [export] formats = ["onnx"].'
    )


def _attempt(
    method: CaptureMethod, model: Wrapped, probe: Probe, conditioning: Conditioning
) -> Captured | str:
    """What is captured, or why it cannot be."""
    with buffers_kept(model):
        try:
            body = _trace(model, probe) if method == "trace" else _script(model)
            shell = _shell(method, model, body, probe, model.images)
            core = _shell(method, model, body, probe, {})
        except (ExportFailedError, UsageError) as error:
            return str(error)
        if calls := python_calls(core):
            return f"it calls {calls[0]} in Python, which no file can hold"
        agreement = _check(shell, probe.cases, conditioning)
    if not agreement.holds:
        return str(agreement)
    return Captured(method, shell, core, Diagnostics(), agreement)


def _from_file(
    config: Config, model: Wrapped, probe: Probe, conditioning: Conditioning
) -> Captured:
    with collected() as diagnostics:
        try:
            shell = _shell("file", model, model.model, probe, model.images)
            core = _shell("file", model, model.model, probe, {})
        except (ExportFailedError, UsageError) as error:
            raise UsageError(
                f"{config.model.torchscript} cannot be joined to the preprocessing: {error}",
                "Its forward must take tensors and give a tensor, or a tuple or dict of them.",
            ) from error
    with buffers_kept(shell):
        agreement = _check(shell, probe.cases, conditioning)
    if not agreement.holds:
        raise UsageError(
            f"{config.model.torchscript}: {agreement}.", "The file itself gives this answer."
        )
    return Captured("file", shell, core, diagnostics, agreement)


@contextmanager
def _refusals() -> Iterator[None]:
    """What torch's compiler raises, or the user's model in it, becomes an ExportFailedError."""
    try:
        yield
    except Exception as error:
        reason = compiler_error(str(error)) or type(error).__name__
        raise ExportFailedError(reason) from error


def _check(
    module: torch.jit.ScriptModule, cases: Sequence[Case], conditioning: Conditioning
) -> Agreement:
    def run(inputs: Tensors) -> Sequence[Tensor]:
        answer = module(*inputs)
        return answer if isinstance(answer, tuple) else (answer,)

    with torch.no_grad():
        return compare(run, cases, SAME_KERNELS, conditioning)


# Tracing


class _ByName(nn.Module):
    """Calls a model whose inputs can only be given by name."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)

    def forward(self, *inputs: Tensor) -> Any:
        return self.model(**nested(self.names, inputs))


class _Flat(nn.Module):
    """Gives the tensors alone of what lies deeper, or beside what is none."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return flatten(self.model(*inputs))


def _trace(model: Wrapped, probe: Probe) -> torch.jit.ScriptModule:
    inputs: Tensors = prepared(model.images, [tensor.clone() for tensor in probe.base])
    order = _order(model)
    target = model.model
    if order is None:
        target = _ByName(target, model.input_names)
    else:
        inputs = tuple(inputs[index] for index in order)
    if not probe.flat:
        target = _Flat(target)
    with torch.no_grad(), sizes_as_keys(), inlined_functions(), _refusals():
        # strict=False takes dicts and lists for outputs; the comparison is ours (check_trace).
        traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
            target, inputs, check_trace=False, strict=False
        )
    return traced.eval()


def _script(model: Wrapped) -> torch.jit.ScriptModule:
    with _refusals():
        scripted: torch.jit.ScriptModule = torch.jit.script(model.model)
    return scripted


def _order(model: Wrapped) -> list[int] | None:
    """Positions of the inputs in the call of a model; None if they must be given by name."""
    names = model.input_names
    if not model.keywords:
        return list(range(len(names)))
    if any("." in name for name in names):
        return None
    try:
        bound = inspect.signature(model.model.forward).bind(**{name: name for name in names})
    except (TypeError, ValueError):
        return None
    return None if bound.kwargs else [names.index(name) for name in bound.args]


# The shell


def _shell(
    method: CaptureMethod,
    model: Wrapped,
    body: nn.Module,
    probe: Probe,
    images: Mapping[int, nn.Module],
) -> torch.jit.ScriptModule:
    """`images` prepare the inputs of their number."""
    assert isinstance(body, torch.jit.ScriptModule)
    attributes = {index: pre_attribute(index, len(model.input_names)) for index in images}
    source = _source(method, model, body, probe, attributes)
    with _refusals():
        shell = Exported({attributes[i]: image for i, image in images.items()}, body, source)
        if not hasattr(shell, "forward"):
            shell.define(source)
    return shell.eval()


def _source(
    method: CaptureMethod,
    model: Wrapped,
    body: torch.jit.ScriptModule,
    probe: Probe,
    images: Mapping[int, str],
) -> str:
    """TorchScript of the forward: preprocessing, call, flattening, activation."""
    names = [argument_name(name, index) for index, name in enumerate(model.input_names)]
    passed = [
        f"self.{images[index]}({name})" if index in images else name
        for index, name in enumerate(names)
    ]
    if model.keywords and method == "trace":
        order = _order(model)
        passed = [passed[index] for index in order] if order is not None else passed
    elif model.keywords:
        pairs = zip(model.input_names, passed, strict=True)
        passed = [f"{name}={value}" for name, value in pairs]
    schema = body._c._get_method("forward").schema
    outputs = _parts(schema.returns[0].type, probe.keys, len(probe.signature.outputs))
    if model.post.activation != "none":
        outputs[0] = f"torch.{model.post.activation}({outputs[0]}" + (
            ", -1)" if model.post.activation == "softmax" else ")"
        )
    return (
        f"def forward(self, {', '.join(f'{name}: Tensor' for name in names)}):\n"
        f"    answer_ = self.model({', '.join(passed)})\n"
        f"    return {', '.join(outputs)}\n"
    )


def argument_name(name: str, index: int) -> str:
    """An input's name where TorchScript can say it, else its number."""
    usable = name.isascii() and name.isidentifier() and not keyword.iskeyword(name)
    return name if usable and name not in ("self", "answer_", "torch") else f"input_{index}"


def _parts(kind: Any, keys: tuple[str, ...] | None, count: int) -> list[str]:
    """Expressions for the tensors of what a TorchScript model returns."""
    name = kind.kind()
    if name == "TensorType":
        return ["answer_"]
    if name == "DictType" and keys is not None:
        return [f"answer_[{key!r}]" for key in keys]
    if name == "TupleType":
        elements = kind.elements()[:count]
        optional = [element.kind() == "OptionalType" for element in elements]
        return [
            f"torch.jit._unwrap_optional(answer_[{index}])" if may_be_none else f"answer_[{index}]"
            for index, may_be_none in enumerate(optional)
        ]
    if name == "ListType":
        return [f"answer_[{index}]" for index in range(count)]
    raise UsageError(f"TorchScript sees the model return {kind}, which is not a tensor.")


def compiler_error(text: str) -> str:
    """What torch.jit says, shortened: the reason, and the user's line that it points at."""
    plain = first_sentence(text).rstrip(":")
    where = re.search(r'File "([^"]+)", line (\d+)', text)
    here = re.search(r"^(.*?)\n\s*~+ <--- HERE", text, re.MULTILINE)
    if where is None:
        return plain
    place = f"{where.group(1).rpartition('/')[2]}:{where.group(2)}"
    return f"{plain} ({place}{f': {here.group(1).strip()}' if here else ''})"
