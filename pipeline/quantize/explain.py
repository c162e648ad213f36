"""`pipeline quantize --explain`: which layers suffer from int8, what keeping them float gains."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.array import Array
from pipeline.quantize.candidates import Candidate, candidates
from pipeline.quantize.coverage import kinds_of
from pipeline.quantize.make import OnnxMaker, maker_of
from pipeline.quantize.recipes import Task
from pipeline.quantize.sensitivity import few_batches, sqnr_of
from pipeline.runtimes import RUNTIMES, Asked
from pipeline.system import machine
from pipeline.system.progress import Reporter
from pipeline.workspace.artifacts import read_index, read_signature
from pipeline.workspace.results.quantize import ExplainedFormat, LayerSensitivity, Without

WORST = 5  # layers whose exclusion is tried, one more each time


def explain(
    config: Config, inputs: Mapping[str, Path], scratch: Path, report: Reporter
) -> list[ExplainedFormat]:
    """For each fp32 export that has static candidates: its layers by sensitivity; `all_sqnr_db` of
    the output with all layers in int8, and `without` the worst one, two ... of them. On the first
    calibration samples. Raises UsageError if no format can be quantized statically."""
    sources = [
        artifact for artifact in read_index(inputs["export"]) if artifact.precision == "fp32"
    ]
    found = []
    for source in sources:
        path = inputs["export"] / source.file
        here = machine.made_for()
        given = candidates(source.format, here, kinds_of(source.format, path))
        static = [candidate for candidate in given if candidate.recipe == "int8-static"]
        finished = source.format == "torchscript" and config.model.torchscript
        if not static or finished:
            report.note(f"{source.format}: no layer that static int8 takes.")
            continue
        with report.bar(f"explain {source.format}", None) as bar:
            signature = read_signature(inputs["export"])
            task = Task(config, source, path, signature, inputs["train"], scratch, bar, here)
            found.append(_explained(task, static[0]))
    if not found:
        raise UsageError(
            "There is nothing to explain: no exported format has layers for static int8.",
            "pipeline inspect lists the operators of an artifact.",
        )
    return found


def _explained(task: Task, candidate: Candidate) -> ExplainedFormat:
    maker = maker_of(task)
    if isinstance(maker, OnnxMaker):
        from pipeline.quantize.onnx.sensitivity import sensitivities

        assert candidate.scheme is not None
        ranking = sensitivities(task, maker.calibrate(), candidate.scheme, task.bar)
    else:
        from pipeline.quantize.torchscript.sensitivity import sensitivities as of_modules

        ranking = of_modules(task, task.bar)
    batches = few_batches(task)
    reference = _answers(task, task.path, "any", batches)

    def sqnr(kept: list[LayerSensitivity]) -> float | None:
        made = maker.make(candidate.without([one.layer for one in kept]))
        path = task.scratch / f"explained{task.path.suffix}"
        path.write_bytes(made.data)
        try:
            return sqnr_of(reference, iter(_answers(task, path, made.made_for, batches)))
        finally:
            path.unlink()

    worst = [one for one in ranking if one.sqnr_db is not None][:WORST]
    steps = []
    for count in range(1, min(len(worst), len(ranking) - 1) + 1):
        task.bar.advance(1, f"without {count} of {len(worst)}")
        steps.append(Without(layer=worst[count - 1].layer, sqnr_db=sqnr(worst[:count])))
    return ExplainedFormat(
        format=task.source.format,
        candidate=candidate.name,
        samples=sum(len(batch[0]) for batch in batches),
        all_sqnr_db=sqnr([]),
        sensitivity=ranking,
        without=steps,
    )


def _answers(
    task: Task, path: Path, made_for: str, batches: list[list[Array]]
) -> list[list[Array]]:
    runtime = next(r for r in RUNTIMES.values() if r.format == task.source.format)
    runner = runtime.open(path, Asked(task.signature, 1, made_for))
    try:
        return [runner.run(batch) for batch in batches]
    finally:
        runner.close()
