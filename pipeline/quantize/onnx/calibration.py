"""What the activations of an ONNX model look like over the calibration samples.

ONNX Runtime's own calibrators keep every activation of every sample until the end, or know
the extremes alone. Here a batch is looked at and forgotten.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnxruntime as ort
import psutil
from numpy.typing import NDArray
from onnx import ModelProto, TypeProto, ValueInfoProto

from pipeline.config import threads_or_all
from pipeline.errors import SetupError, UsageError
from pipeline.graph.array import Array
from pipeline.graph.signature import Signature
from pipeline.project.library import library
from pipeline.quantize.calibration import calibration_batches, one_batch
from pipeline.quantize.histogram import Histogram
from pipeline.quantize.onnx.graph import weighted
from pipeline.quantize.recipes import Task

CALIBRATING = "Calibration with ONNX Runtime"
INSTEAD = "Leave the static ONNX recipes out; pipeline verify shows whether the fp32 file runs."
LIMIT = 256 * 2**20  # bytes of activations at once; a batch is cut into parts that fit

Floats = NDArray[np.float64]


@dataclass
class Channels:
    """A layer's input, channel by channel: axis 1 of four axes (convolutions), else the last."""

    largest: Floats
    total: Floats
    count: int = 0

    @property
    def mean(self) -> Floats:
        return self.total / max(1, self.count)


@dataclass
class Observed:
    """Tensors by name. `channels` are of the inputs of layers with weights alone."""

    histograms: dict[str, Histogram] = field(default_factory=dict)
    channels: dict[str, Channels] = field(default_factory=dict)
    samples: int = 0
    bytes_per_sample: int = 0

    def add(self, name: str, values: Array, by_channel: bool) -> None:
        """Raises UsageError for NaN and infinity."""
        if not np.isfinite(values).all():
            raise UsageError(
                f"Calibration: {name} is NaN or infinite on a calibration sample.",
                "The fp32 model itself gives that: pipeline verify names the sample.",
            )
        self.histograms.setdefault(name, Histogram()).add(values)
        if by_channel and values.ndim > 1:
            self._add_channels(name, values)

    def _add_channels(self, name: str, values: Array) -> None:
        axis = 1 if values.ndim == 4 else values.ndim - 1
        others = tuple(index for index in range(values.ndim) if index != axis)
        size = values.shape[axis]
        known = self.channels.setdefault(name, Channels(np.zeros(size), np.zeros(size)))
        np.maximum(known.largest, np.abs(values).max(axis=others), out=known.largest)
        known.total += values.sum(axis=others, dtype=np.float64)
        known.count += values.size // size


def observe(task: Task, model: ModelProto, nodes: list[str]) -> Observed:
    """Runs the samples through `model` and looks at what the named nodes read and give.

    Raises SetupError if a single sample needs more memory than there is.
    """
    session, candidates = _open(task, model, nodes)
    inputs = [spec.name for spec in task.signature.inputs]
    by_channel = _layer_inputs(model, set(nodes))
    found = Observed()
    wanted, rows = _probe(task, session, candidates, inputs, found)
    for batch in calibration_batches(task):
        for part in _parts(task.signature, batch, rows):
            answers = _run(session, wanted, inputs, part)
            for name, values in zip(wanted, answers, strict=True):
                found.add(name, values, name in by_channel)
            found.samples += task.signature.samples_of(part)
    return found


def _open(
    task: Task, model: ModelProto, nodes: list[str]
) -> tuple[ort.InferenceSession, list[str]]:
    """A session that gives every tensor around the nodes, and their names."""
    graph, chosen = model.graph, set(nodes)
    stored = {tensor.name for tensor in graph.initializer}
    wanted = dict.fromkeys(
        name
        for node in graph.node
        if node.name in chosen
        for name in (*node.input, *node.output)
        if name and name not in stored
    )
    outputs = {value.name for value in graph.output}
    augmented = ModelProto()
    augmented.CopyFrom(model)
    for name in wanted:
        if name not in outputs:
            augmented.graph.output.append(ValueInfoProto(name=name, type=TypeProto()))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads_or_all(task.config.quantize.threads)
    options.enable_cpu_mem_arena = False  # what a batch took is given back
    options.log_severity_level = 3
    path = task.scratch / "observed.onnx"
    path.write_bytes(augmented.SerializeToString())
    with library(f"{CALIBRATING}, opening {task.path.name}", None, INSTEAD):
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    path.unlink()
    return session, list(wanted)


def _probe(
    task: Task,
    session: ort.InferenceSession,
    candidates: list[str],
    inputs: list[str],
    found: Observed,
) -> tuple[list[str], int | None]:
    """The float tensors among the candidates, and how many samples to run at once."""
    signature, fixed = task.signature, task.signature.fixed_batch
    batch = one_batch(task)
    part = batch if fixed else signature.part(batch, 0, 1)
    answers = _run(session, candidates, inputs, part)
    wanted = [
        name
        for name, values in zip(candidates, answers, strict=True)
        if isinstance(values, np.ndarray) and values.dtype == np.float32
    ]
    each = sum(values.nbytes for values in answers) // signature.samples_of(part)
    found.bytes_per_sample = each
    available = psutil.virtual_memory().available
    if each * (fixed or 1) > available:
        raise SetupError(
            f"Calibration needs {each * (fixed or 1) / 2**30:.1f} GiB for the activations of a "
            f"single batch; {available / 2**30:.1f} are free.",
            "Smaller pictures ([input] size), or a machine with more memory.",
        )
    if fixed:
        return wanted, None
    return wanted, max(1, min(LIMIT, available // 2) // max(1, each))


def _run(
    session: ort.InferenceSession, wanted: list[str], inputs: list[str], part: list[Array]
) -> list[Array]:
    with library(CALIBRATING, None, INSTEAD):
        answers: list[Array] = session.run(wanted, dict(zip(inputs, part, strict=True)))
    return answers


def _parts(signature: Signature, batch: list[Array], rows: int | None) -> Iterator[list[Array]]:
    if rows is None:
        yield batch
        return
    for start in range(0, signature.samples_of(batch), rows):
        yield signature.part(batch, start, start + rows)


def _layer_inputs(model: ModelProto, nodes: set[str]) -> set[str]:
    weights = weighted(model.graph)
    return {
        node.input[0] for node in model.graph.node if node.name in nodes and node.name in weights
    }
