"""One artifact, layer by layer, against eager PyTorch or another artifact."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.formats.onnx.load import load_onnx
from pipeline.formats.onnx.taps import OnnxSource, Place, places_of
from pipeline.formats.taps import Tap, matches, without_prefix
from pipeline.formats.torchscript.taps import ScriptSource
from pipeline.graph.array import Array
from pipeline.project.samples import Samples, load_samples
from pipeline.runtimes.eager import exported_model
from pipeline.runtimes.torchscript import engine_for
from pipeline.system.progress import Bar
from pipeline.verify.drift import measure, verdict
from pipeline.verify.drift.bisect import mend
from pipeline.verify.drift.eager import EagerSource
from pipeline.verify.drift.measure import Kept, Layer, Reference
from pipeline.verify.drift.references import OnnxReference, StreamedReference, one_by_one
from pipeline.verify.tolerances import DEFAULTS, configured_bounds
from pipeline.workspace.artifacts import Artifact, Precision, read_index, read_signature
from pipeline.workspace.results.drift import Drift

SAMPLES = 4
EAGER = "eager"


@dataclass(frozen=True)
class File:
    """An artifact, or a file that somebody named."""

    id: str
    path: Path
    format: str
    precision: Precision
    made_for: str = "any"


@dataclass(frozen=True)
class Run:
    """Where everything lies. `inputs` are the folders of train, export and quantize."""

    config: Config
    inputs: Mapping[str, Path]
    scratch: Path
    samples: Sequence[list[Array]]
    loaded: Samples


def prepare(config: Config, inputs: Mapping[str, Path], scratch: Path, count: int = SAMPLES) -> Run:
    """The first samples of those that verify asks, in batches of one."""
    loaded = load_samples(config, "validation", count)
    signature = read_signature(inputs["export"])
    return Run(config, inputs, scratch, one_by_one(loaded.inputs, signature), loaded)


def find(inputs: Mapping[str, Path], name: str) -> File:
    """An artifact by its id, or a file by its path. Raises UsageError with what there is."""
    known = [
        (a, inputs[stage] / a.file)
        for stage in ("export", "quantize")
        for a in read_index(inputs[stage])
    ]
    for artifact, path in known:
        if artifact.id == name:
            return as_file(artifact, path)
    path = Path(name)
    formats = {".onnx": "onnx", ".pt": "torchscript"}
    if path.suffix in formats and path.is_file():
        words: tuple[Precision, ...] = ("int4", "int8", "fp16")
        precision: Precision = next((word for word in words if word in path.name), "fp32")
        return File(path.stem, path, formats[path.suffix], precision)
    raise UsageError(
        f"There is no artifact {name!r}, and no .onnx or .pt file of that name.",
        f"There are: {', '.join(artifact.id for artifact, _ in known)}.",
    )


def as_file(artifact: Artifact, path: Path) -> File:
    return File(artifact.id, path, artifact.format, artifact.precision, artifact.made_for)


def drift(run: Run, file: File, against: File | None, bar: Bar) -> Drift:
    """Layer by layer; docs/parity.md describes it. `against` None is eager."""
    import torch

    threads, engine = torch.get_num_threads(), torch.backends.quantized.engine
    torch.set_num_threads(1)
    torch.backends.quantized.engine = engine_for(file.made_for)
    try:
        with tempfile.TemporaryDirectory(dir=run.scratch) as folder:
            return _drift(run, file, against, Path(folder), bar)
    finally:
        torch.set_num_threads(threads)
        torch.backends.quantized.engine = engine


def default_against(run: Run, file: File) -> File | None:
    """A model that is a file has no inside in eager: its fp32 artifact stands for it."""
    model = run.config.model
    format = "onnx" if model.onnx else "torchscript" if model.torchscript else None
    if format is None or file.id == f"{format}-fp32":
        return None
    return find(run.inputs, f"{format}-fp32")


def _drift(run: Run, file: File, against: File | None, folder: Path, bar: Bar) -> Drift:
    bar.advance(0, f"{file.id}: the reference's tensors")
    places = _known_places(run)  # before the model is in memory
    reference = _reference(run, against, places, folder)
    known = reference.taps()
    source, taps = _source(run, file, places, folder)
    taps = without_prefix(taps, known)
    layers = {
        index: Layer(_sized(tap, candidates, known), candidates)
        for index, (tap, candidates) in enumerate(zip(taps, matches(taps, known), strict=True))
        if candidates
    }
    kept = Kept(folder)
    reference.keep({i for layer in layers.values() for i in layer.candidates}, folder)
    del reference  # the model gives way to the artifact
    bar.advance(1, f"{file.id}: layer by layer")
    walk = measure.measure_onnx if file.format == "onnx" else measure.measure_script
    walk(source, layers, run.samples, kept, bar)
    matched = [
        layer
        for layer in layers.values()
        if layer.chosen is not None and layer.sums.samples + layer.not_finite
    ]
    bars = _bars(run, file)
    names = [layer.tap.name for layer in matched]
    rows = [
        verdict.layer_row(layer, known, _nodes(source, layer.tap, names), bars) for layer in matched
    ]
    culprits = verdict.culprits(rows)
    return Drift(
        artifact=file.id,
        against=against.id if against else EAGER,
        runtime="onnxruntime" if file.format == "onnx" else "torchscript",
        samples=len(run.samples),
        matched=len(matched),
        unmatched=len(taps) - len(matched),
        bar_db=bars[0],
        own_bar_db=bars[1],
        layers=rows,
        first_bad=verdict.first_bad(rows),
        culprits=culprits,
        remedy=verdict.remedy(rows, culprits, file.precision),
        mended=mend(source, matched, culprits, run.samples, kept) if against else None,
    )


def _reference(
    run: Run, against: File | None, places: Mapping[str, Place], folder: Path
) -> Reference:
    if against is None:
        model = exported_model(run.config, run.inputs["train"], run.loaded)
        return StreamedReference(EagerSource(model), run.samples)
    if against.format == "onnx":
        inner = folder / "reference"
        inner.mkdir()
        return OnnxReference(OnnxSource(against.path, inner, places), run.samples)
    return StreamedReference(ScriptSource(against.path), run.samples)


def _source(
    run: Run, file: File, places: Mapping[str, Place], folder: Path
) -> tuple[Any, list[Tap]]:
    if file.format == "onnx":
        inner = folder / "artifact"
        inner.mkdir()
        source = OnnxSource(file.path, inner, places)
        return source, source.taps()
    script = ScriptSource(file.path)
    return script, script.taps(run.samples[0])


def _known_places(run: Run) -> dict[str, Place]:
    """Places by tensor, as export wrote them: quantizers drop what new nodes come from."""
    for artifact in read_index(run.inputs["export"]):
        if artifact.format == "onnx":
            return places_of(load_onnx(run.inputs["export"] / artifact.file))
    return {}


def _sized(tap: Tap, candidates: Sequence[int], known: Sequence[Tap]) -> Tap:
    size = tap.size or max(known[index].size for index in candidates)
    return replace(tap, size=size)


def _bars(run: Run, file: File) -> tuple[float, float]:
    """The least SQNR in dB, as the artifact runs and of a layer's own."""
    configured = configured_bounds(run.config, file.precision, "")
    bar_db = configured.get("min_sqnr_db", DEFAULTS[file.precision].min_sqnr_db)
    return bar_db, max(bar_db, verdict.OWN_BAR[file.precision])


def _nodes(source: Any, tap: Tap, names: Sequence[str]) -> list[str]:
    if isinstance(source, OnnxSource):
        return source.nodes(tap.name, names)
    return [tap.operator]
