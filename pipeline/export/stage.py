"""What the export stage does: the reference is probed, captured in each format, and read back."""

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.config import threads_or_all
from pipeline.config.export import Format
from pipeline.errors import UsageError, brief
from pipeline.export.agree import OTHER_KERNELS, SAME_KERNELS, Agreement, compare
from pipeline.export.diagnostics import ExportFailedError, warn_about
from pipeline.export.join import graph_of_file
from pipeline.export.onnx_export import Graph, behind_preprocessing, by_dynamo, by_legacy
from pipeline.export.probe import Probe, Tensors, probe
from pipeline.export.torchscript import Captured, capture
from pipeline.formats.onnx.write import onnx_bytes
from pipeline.formats.read_back import read_back
from pipeline.formats.torchscript import android_pytorch
from pipeline.formats.torchscript.write import save_clean
from pipeline.graph.tracing import buffers_kept, plain_attention
from pipeline.graph.wrap import Wrapped
from pipeline.measure.conditioning import Conditioning
from pipeline.project.onnx_model import OnnxModel
from pipeline.project.samples import load_samples
from pipeline.runtimes import RUNTIMES, Asked
from pipeline.runtimes.eager import exported_model, wrapped_model
from pipeline.system.progress import Bar
from pipeline.workspace.artifacts import (
    SIGNATURE,
    Artifact,
    Precision,
    artifact_id,
    file_name,
    sha256_of,
    write_index,
    write_json,
)
from pipeline.workspace.stage import Job, Summary

SAMPLES = 8  # that the probe makes its inputs of
FEW = 2  # the exported sizes, and another batch where that is dynamic
PRECISION: Precision = "fp32"
ANDROID_HINT = (
    "Write the model with operators of that release, or give the phone the ONNX artifact and leave "
    "that setting out."
)


_NO_RUNNER = (
    "No runner takes such a file. Write the model with operators that only compute and give what "
    'they compute back, or leave TorchScript out: [export] formats = ["onnx"].'
)


_TWO_SOFTMAXES = (
    "The model gives probabilities already (rows that sum to 1), and a softmax comes behind them: "
    'set [output] activation = "none", and a loss that takes probabilities, or leave the softmax '
    "out of the model."
)


class Exporter:
    """One run of the stage.

    `model` is the one that was probed, `fresh` builds another: a forward may keep what it saw, and
    what is exported has seen nothing. A capture in TorchScript is kept where ONNX is made of it,
    else memory holds the weights of one format at a time.
    """

    def __init__(
        self, job: Job, model: Wrapped, fresh: Callable[[], Wrapped], probe: Probe, bar: Bar
    ) -> None:
        self.job = job
        self.model = model
        self.fresh = fresh
        self.probe = probe
        self.bar = bar
        self.conditioning = Conditioning(fresh)
        self._captured: Captured | None = None

    def every(self) -> list[Artifact]:
        """Each format of the configuration. One that nobody asked for by name is left out where
        the model has no such file, with a warning; raises UsageError where that leaves none."""
        config = self.job.config
        makers = {"torchscript": self.torchscript, "onnx": self.onnx}
        by_name = "formats" in config.export.model_fields_set or config.export.for_ != "any"
        needed = by_name or len(config.formats) == 1
        artifacts, refused = [], []
        for format in config.formats:
            try:
                artifacts.append(makers[format]())
            except UsageError as error:
                if needed:
                    raise
                (self.job.out / file_name(format, PRECISION)).unlink(missing_ok=True)
                refused.append(error)
        if not artifacts:
            reasons = dict.fromkeys(refusal.message for refusal in refused)
            raise UsageError("\n".join(reasons), refused[0].hint)
        for refusal in refused:
            self.job.report.warn(f"Left out: {refusal.message}")
        return artifacts

    def captured(self) -> Captured:
        if self._captured is None:
            self.bar.advance(0, "TorchScript: capturing")
            self._captured = capture(self.job.config, self.fresh, self.probe, self.conditioning)
            warn_about(self.job.report, "TorchScript", self._captured.diagnostics)
        return self._captured

    def torchscript(self) -> Artifact:
        captured = self.captured()
        method = captured.method
        if method == "script" and captured.why_not_trace:
            self.job.report.note(
                "TorchScript: scripted, because a trace would give wrong answers.\n  "
                + captured.why_not_trace
            )
        self.bar.advance(0, "TorchScript: reading back")
        path = self._write("torchscript", save_clean(captured.shell))
        if self._exporters()[0] == "dynamo":
            self._captured = None
        del captured
        try:
            # Every case was asked before it was written; a file that differs does so on any.
            agreement = self._read_back("torchscript", path, SAME_KERNELS, FEW)
        except ExportFailedError as error:
            raise UsageError(f"TorchScript: {error}", _NO_RUNNER) from error
        if not agreement.holds:
            raise UsageError(
                f"{path.name}, read back, does not give PyTorch's answers: {agreement}."
            )
        return self._artifact("torchscript", path, {"capture": method}, agreement)

    def onnx(self) -> Artifact:
        """Raises UsageError with every exporter's reason if none of them gets through."""
        failures: list[str] = []
        for method in self._exporters():
            self.bar.advance(0, f"ONNX: {_NAMES[method]}")
            try:
                graph = self._graph(method)
                path = self._write("onnx", onnx_bytes(graph.model, file_name("onnx", PRECISION)))
                agreement = self._read_back("onnx", path, OTHER_KERNELS)
            except ExportFailedError as error:
                failures.append(f"{_NAMES[method]}: {error}")
                continue
            if not agreement.holds:
                failures.append(f"{_NAMES[method]}: {agreement}")
                continue
            warn_about(self.job.report, "ONNX", graph.diagnostics)
            if failures:
                self.job.report.warn(f"ONNX: made by {_NAMES[method]}, because {failures[0]}.")
            return self._artifact("onnx", path, {"exporter": method}, agreement)
        raise UsageError(
            "ONNX: no exporter succeeds.\n  " + "\n  ".join(failures), _remedy(failures)
        )

    def _exporters(self) -> Sequence[str]:
        if isinstance(self.model.model, OnnxModel):
            return ("file",)
        if isinstance(self.model.model, torch.jit.ScriptModule):
            return ("legacy",)  # torch.export takes no TorchScript
        wanted = self.job.config.export.exporter
        return ("dynamo", "legacy") if wanted == "auto" else (wanted,)

    def _graph(self, method: str) -> Graph:
        config = self.job.config
        if method == "dynamo":
            return by_dynamo(config, self.fresh(), self.probe)
        if method == "legacy":
            try:
                core = self.captured().core
            except UsageError as error:
                raise ExportFailedError(error.message) from error
            with buffers_kept(core):  # it runs what it exports
                return by_legacy(config, self.model, core, self.probe)
        names = [spec.name for spec in self.probe.signature.outputs]
        graph = graph_of_file(config, self.model, self.probe.axes, names)
        return Graph(behind_preprocessing(config, self.model, graph, self.probe))

    def _write(self, format: Format, data: bytes) -> Path:
        path = self.job.out / file_name(format, PRECISION)
        path.write_bytes(data)
        return path

    def _read_back(
        self, format: Format, path: Path, relative: float, cases: int | None = None
    ) -> Agreement:
        """Opens the file as a user would and asks it every case of the probe, or the first ones."""
        runtime = next(runtime for runtime in RUNTIMES.values() if runtime.format == format)
        asked = Asked(self.probe.signature, threads_or_all(self.job.config.export.threads))
        try:
            runner = runtime.open(path, asked)
        except Exception as error:
            raise ExportFailedError(
                f"{runtime.name} cannot open {path.name}: {brief(error)}"
            ) from error

        def run(inputs: Tensors) -> list[Tensor]:
            answers = runner.run([tensor.numpy(force=True) for tensor in inputs])
            return [torch.from_numpy(answer) for answer in answers]

        try:
            return compare(run, self.probe.cases[:cases], relative, self.conditioning)
        finally:
            runner.close()

    def _artifact(
        self, format: Format, path: Path, details: dict[str, Any], agreement: Agreement
    ) -> Artifact:
        facts = read_back(path, format)
        target = self.job.config.export.for_
        if format == "torchscript" and target == android_pytorch.TARGET:
            android_pytorch.check(path, ANDROID_HINT)
            details = {**details, "for": target}
        self.bar.advance(1)
        method = next(iter(details.values()))
        for why in agreement.open:
            self.job.report.note(f"{path.name} is not judged {why}.")
        self.job.report.note(
            f"{path.name}: {_size(path.stat().st_size)}, by {_NAMES[method]}; as PyTorch on "
            f"{len(self.probe.cases)} inputs of other sizes and values, {_apart(agreement.max_abs)}"
        )
        return Artifact(
            id=artifact_id(format, PRECISION),
            format=format,
            precision=PRECISION,
            recipe=None,
            file=path.name,
            bytes=path.stat().st_size,
            sha256=sha256_of(path),
            version=facts.version,
            operators=facts.operators,
            details={**details, "max_abs": agreement.max_abs},
        )


_LINE = re.compile(r"\(\w+\.py:\d+: ")  # of the user's, that an exporter stopped at
_SUPPORTED = re.compile(r"opset (\d+) has it")


def _remedy(failures: Sequence[str]) -> str:
    """The switch that would help, as far as the reasons show one."""
    text, ways = "\n".join(failures), []
    if newer := _SUPPORTED.search(text):
        ways.append(f"set [export] opset = {newer.group(1)}")
    if "axis 'batch'" in text or "of 'batch' is baked in" in text or "axis batch" in text:
        ways.append("set [export] dynamic_batch = false")
    if re.search(r"(height|width)'? is baked in|axis '?(height|width)", text):
        ways.append("set [export] dynamic_size = false")
    if _LINE.search(text):
        ways.append("change the line that is named")
    ways.append('leave ONNX out: [export] formats = ["torchscript"]')
    said = ", or ".join(ways)
    return f"{said[0].upper()}{said[1:]}."


def _said(value: object) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    return " ".join(f"{part:.4g}" if isinstance(part, float) else str(part) for part in parts)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _apart(distance: float) -> str:
    return f"at most {distance:.1e} apart" if distance else "to the last bit"


_NAMES = {
    "dynamo": "torch.export",
    "legacy": "the older exporter",
    "file": "the given file",
    "trace": "trace",
    "script": "script",
}


def export(job: Job) -> Summary:
    """Writes the artifacts, their index and the signature into `job.out`."""
    config = job.config
    samples = load_samples(config, "validation", SAMPLES)
    with _threads(threads_or_all(config.export.threads)), plain_attention():
        tell = functools.cache(job.report.note)  # each model that is made says the same

        def fresh() -> Wrapped:
            made = exported_model(config, job.inputs["train"], samples, tell)
            return made.requires_grad_(False)

        model = wrapped_model(config, job.inputs["train"], samples).requires_grad_(False)
        with job.report.bar("export", 1 + len(config.formats)) as bar:
            bar.advance(0, "trying the model on other sizes")
            probed = probe(config, model, samples)
            bar.advance(1)
            if config.model.entry:
                model.forget_model()  # every format is made of a fresh one
            if probed.has_softmax and config.activation == "softmax":
                job.report.warn(_TWO_SOFTMAXES)
            for one in config.named_inputs.values():
                if one.image and one.taken:
                    said = ", ".join(f"{key} {_said(getattr(one.image, key))}" for key in one.taken)
                    job.report.note(f"{one.name} as {config.model.entry} was trained: {said}.")
            for name, other in probed.renamed.items():
                job.report.note(f"The output {name!r} is called {other!r}: an input has that name.")
            exporter = Exporter(job, model, fresh, probed, bar)
            artifacts = exporter.every()
    if config.model.onnx:
        job.report.note(f"TorchScript: left out, {config.model.onnx} is an ONNX file.")
        fixed = probed.signature.inputs[0].fixed_batch
        if config.export.dynamic_batch and fixed is not None:
            job.report.warn(
                f"{config.model.onnx} takes batches of {fixed} alone, and so do the artifacts; "
                "export that file with a dynamic batch axis for others."
            )
    write_json(job.out / SIGNATURE, probed.signature.to_json())
    write_index(job.out, artifacts)
    return {
        "signature": probed.signature.to_json(),
        "artifacts": {
            artifact.id: {"file": artifact.file, "bytes": artifact.bytes, **artifact.details}
            for artifact in artifacts
        },
        "checked_on": [case.name for case in probed.cases],
    }


@contextmanager
def _threads(count: int) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
