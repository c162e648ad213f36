"""What the TorchScript recipes share: the engine, and the way from a quantized module to a file."""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.ao.nn.quantized.dynamic import Linear as DynamicLinear

from pipeline.config import threads_or_all
from pipeline.errors import UsageError, brief
from pipeline.formats.read_back import read_back
from pipeline.formats.torchscript.write import save_clean
from pipeline.graph.array import Array
from pipeline.graph.files import named_in_files
from pipeline.graph.inline import inlined_functions, python_calls
from pipeline.graph.signature import Signature
from pipeline.graph.tracing import sizes_as_keys
from pipeline.graph.wrap import Wrapped, flatten, pre_attribute, prepared
from pipeline.project.library import library
from pipeline.project.samples import load_samples
from pipeline.quantize.calibration import one_batch
from pipeline.quantize.recipes import Task
from pipeline.runtimes.eager import exported_model
from pipeline.system.silence import silence

Inputs = tuple[Tensor, ...]

ENGINE_CPUS = {"x86": "x86_64", "onednn": "x86_64", "qnnpack": "arm64"}
SAME = 1e-6  # relative: a trace of a module runs the same kernels in the same order


@dataclass(frozen=True)
class Parts:
    """The reference taken apart. `core` takes what comes out of `images` (of an input that is no
    picture what a caller gives) and holds the user's model, which a recipe replaces."""

    images: Mapping[int, nn.Module]
    core: Wrapped

    def prepare(self, batch: Sequence[Array]) -> Inputs:
        """Arrays of a caller → what the core takes."""
        tensors = tuple(torch.from_numpy(array.copy()) for array in batch)
        with torch.no_grad():
            return prepared(self.images, tensors)


def take_apart(task: Task) -> Parts:
    first = load_samples(task.config, "validation", 1)
    core = exported_model(task.config, task.train, first)
    return Parts(core.take_images(), core)


def engine_of(task: Task) -> str:
    """The configured int8 kernels. Raises UsageError if this build of torch lacks them."""
    wanted = task.config.quantize.engine
    if wanted == "auto":
        wanted = "x86" if task.target == "x86_64" else "qnnpack"
    supported = torch.backends.quantized.supported_engines
    if wanted not in supported:
        raise UsageError(
            f"quantize.engine: torch has no {wanted!r} here.",
            f"It has: {', '.join(sorted(set(supported) - {'none'}))}.",
        )
    return wanted


@contextmanager
def quantizing(task: Task, engine: str) -> Iterator[None]:
    """Threads, engine and attention's fast path are torch's globals: set here, put back after.

    The fast path of attention reads weights as tensors, which quantized layers do not have.
    Silent about torch.ao and torch.jit being deprecated.
    """
    threads, before = torch.get_num_threads(), torch.backends.quantized.engine
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.set_num_threads(threads_or_all(task.config.quantize.threads))
    torch.backends.quantized.engine = engine
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.quantized.engine = before
        torch.backends.mha.set_fastpath_enabled(fast)


def to_file(task: Task, parts: Parts, recipe: str, branches: bool) -> bytes:
    """Captures the quantized core, puts the float preprocessing before it, and gives the file.

    `branches`: the model is still the user's code, so that a trace may fix what depends on values.
    """
    batch, root = parts.prepare(one_batch(task)), task.config.root
    script_only = branches and task.source.details.get("capture") == "script"
    traced = _captured(task, parts.core, batch, recipe, script_only)
    names = [port.name for port in read_back(task.path, "torchscript").inputs]
    with library(
        f"torchscript {recipe}: putting it behind the preprocessing", root, _instead(recipe)
    ):
        shell = _shell(parts.images, traced, names)
    return save_clean(shell)


def _captured(
    task: Task, core: Wrapped, batch: Inputs, recipe: str, script_only: bool
) -> torch.jit.ScriptModule:
    """A trace that answers as the module on other batch sizes; where a trace cannot, the user's
    model is scripted inside it. Raises UsageError if neither does."""
    failures = []
    for scheme in ("script",) if script_only else ("trace", "script"):
        try:
            candidate = copy.copy(core)
            model = core.model if scheme == "trace" else torch.jit.script(_of_one_path(core.model))
            candidate._modules = {**core._modules, "model": model}
            with silence():
                traced = _trace(candidate, batch)
                wrong = _no_file(traced) or _difference(task, core, traced, batch)
        except Exception as error:
            wrong = brief(error).rstrip(":")
        if wrong is None:
            return traced
        failures.append(f"{scheme}: {wrong}")
    raise UsageError(
        f"TorchScript cannot capture the model quantized by {recipe}.\n  " + "\n  ".join(failures),
        _instead(recipe),
    )


def _no_file(traced: torch.jit.ScriptModule) -> str | None:
    calls = python_calls(traced)
    return f"it calls {calls[0]} in Python, which no file can hold" if calls else None


def _instead(recipe: str) -> str:
    return f'Write "onnx:{recipe}" in [quantize] recipes, or leave {recipe} out.'


def _of_one_path(model: nn.Module) -> nn.Module:
    """Traces each dynamic linear layer of a model that is to be scripted, in place.

    torch's own forward of it branches on its version and element type: scripted, a file holds
    three kernels for each layer, of which one can ever run.
    """
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if type(layer) is DynamicLinear:
                setattr(module, name, _trace(layer, (torch.zeros(2, layer.in_features),)))
    return model


def _trace(core: nn.Module, batch: Inputs) -> torch.jit.ScriptModule:
    with torch.no_grad(), sizes_as_keys(), inlined_functions():
        traced: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
            core, tuple(tensor.clone() for tensor in batch), check_trace=False, strict=False
        )
    return traced.eval()


def _difference(
    task: Task, core: nn.Module, traced: torch.jit.ScriptModule, batch: Inputs
) -> str | None:
    """How the trace answers otherwise than the module, on the batch and on its first sample."""
    cases = [batch]
    count = task.signature.samples_of(batch)
    if task.signature.fixed_batch is None and count > 1:
        more = [*range(count), *range(count), 0]
        cases += [rows_of(task.signature, batch, rows) for rows in ([0], more)]
    for inputs in cases:
        samples = task.signature.samples_of(inputs)
        with torch.no_grad():
            given, expected = (
                flatten(module(*(tensor.clone() for tensor in inputs))) for module in (traced, core)
            )
        for one, other in zip(given, expected, strict=True):
            if one.shape != other.shape:
                return f"a batch of {samples} gives the shape {list(one.shape)}"
            if not torch.allclose(one, other, rtol=SAME, atol=SAME, equal_nan=True):
                return f"a batch of {samples} gives other answers"
    return None


def rows_of(signature: Signature, batch: Inputs, rows: Sequence[int]) -> Inputs:
    """Some samples of what the core takes: the batch has the same axis as for a caller."""
    chosen = torch.tensor(rows)
    return tuple(
        tensor if spec.batch_axis is None else tensor.index_select(spec.batch_axis, chosen)
        for spec, tensor in zip(signature.inputs, batch, strict=True)
    )


@named_in_files("quantize.torchscript.Shell")
class Shell(torch.jit.ScriptModule):
    """Preprocessing, where there is one, and the traced core; `define` adds the forward."""

    def __init__(self, images: Mapping[str, nn.Module], core: torch.jit.ScriptModule) -> None:
        super().__init__()
        for attribute, image in images.items():
            setattr(self, attribute, torch.jit.script(image))
        self.core = core


def _shell(
    images: Mapping[int, nn.Module], core: torch.jit.ScriptModule, names: list[str]
) -> torch.jit.ScriptModule:
    """The whole graph, with the inputs named as in the fp32 file."""
    attributes = {index: pre_attribute(index, len(names)) for index in images}
    shell = Shell({attributes[index]: image for index, image in images.items()}, core)
    declared = ", ".join(f"{name}: Tensor" for name in names)
    passed = ", ".join(
        f"self.{attributes[index]}({name})" if index in images else name
        for index, name in enumerate(names)
    )
    if not hasattr(shell, "forward"):
        shell.define(f"def forward(self, {declared}):\n    return self.core({passed})\n")
    return shell.eval()
