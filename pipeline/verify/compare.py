"""One artifact in one runtime against the reference: what is found, not yet judged."""

from dataclasses import dataclass

import numpy as np

from pipeline.config import threads_or_all
from pipeline.graph.array import Array
from pipeline.measure.parity import Agreement, Parity, ParitySums, decision
from pipeline.measure.task_metric import threshold
from pipeline.runtimes import Asked, Runner, RunnerError
from pipeline.system.progress import Bar
from pipeline.verify.context import RowContext
from pipeline.verify.edge_cases import Edge
from pipeline.verify.plan import Item
from pipeline.verify.reference import Batch, Questions, Reference, misfit
from pipeline.verify.samples_kept import SamplesKept
from pipeline.verify.scores import Scored, Scores
from pipeline.workspace.artifacts import Precision


@dataclass(frozen=True)
class OutputComparison:
    """One output over the samples. `sums` are what `parity` is made of; `not_finite` and
    `ref_not_finite` are indices of samples."""

    sums: ParitySums
    parity: Parity
    agreement: Agreement | None
    not_finite: list[int]
    ref_not_finite: list[int]


@dataclass(frozen=True)
class EdgeComparison:
    """One edge case. `wrong` is a sentence if there is no answer to compare, `refused` one if the
    reference itself gives none; else one Parity for each output. `scale` is the largest magnitude
    of the reference's answer."""

    edge: Edge
    wrong: str | None = None
    refused: str | None = None
    parity: tuple[Parity, ...] = ()
    scale: float = 0.0


@dataclass(frozen=True)
class Comparison:
    """`wrong` says why the samples could not be compared; `outputs` is empty then. `kept` is what
    the report shows of each sample."""

    wrong: str | None
    outputs: tuple[OutputComparison, ...]
    scored: Scored
    edges: tuple[EdgeComparison, ...]
    kept: SamplesKept

    @property
    def metric(self) -> float | None:
        return self.scored.value


class Sums:
    """What adds up over the batches of a row: errors and decisions by output, the metric, and what
    the report shows of each sample."""

    def __init__(self, context: RowContext, precision: Precision) -> None:
        specs, judged = context.signature.outputs, context.judged(0)
        limit = context.bounds(precision)[0].max_drop
        score = threshold(context.config, specs[0]) if judged.classes else None
        self.specs = specs
        self.parity = [ParitySums() for _ in specs]
        self.agreements = [_agreement(context, index) for index in range(len(specs))]
        self.scores = Scores(context.metric, context.samples, paired=limit is not None)
        self.kept = SamplesKept(len(context.samples), judged.scale, judged.classes, score)

    def update(self, batch: Batch, reference: list[Array], answers: list[Array]) -> None:
        """By output, [batch, ...]; what only fills a batch of fixed size does not count."""
        for index, spec in enumerate(self.specs):
            ref, x = (spec.rows(one[index], len(batch.samples)) for one in (reference, answers))
            samples = batch.samples[: len(ref)]  # one stands for what they share
            self.parity[index].update(ref, x, samples)
            if agreement := self.agreements[index]:
                agreement.update(ref, x, samples)
            if index == 0:
                self.scores.update(x, samples)
                self.kept.update(ref, x, samples)

    def outputs(self) -> tuple[OutputComparison, ...]:
        return tuple(
            OutputComparison(sums, sums.result(), agreement, sums.not_finite, sums.ref_not_finite)
            for sums, agreement in zip(self.parity, self.agreements, strict=True)
        )


def compare(context: RowContext, questions: Questions, item: Item, bar: Bar) -> Comparison:
    """Opens an artifact and asks it everything. What the runtime cannot do is what is found."""
    artifact, runtime = item.artifact, item.runtime
    bar.advance(0, f"{artifact.id} in {runtime.name}")
    sums = Sums(context, artifact.precision)
    threads = threads_or_all(context.config.verify.threads)
    try:
        runner = runtime.open(item.path, Asked(context.signature, threads, artifact.made_for))
    except RunnerError as error:
        bar.advance(questions.steps())
        return Comparison(f"cannot be opened: {error}", (), Scored(None), (), sums.kept)
    try:
        wrong = _ask_samples(runner, questions, context.reference, sums, bar)
        edges = tuple(_edge(runner, questions, context.reference, e, bar) for e in questions.edges)
    finally:
        runner.close()
    if wrong:
        return Comparison(wrong, (), Scored(None), edges, sums.kept)
    return Comparison(None, sums.outputs(), sums.scores.result(), edges, sums.kept)


def _ask_samples(
    runner: Runner, questions: Questions, reference: Reference, sums: Sums, bar: Bar
) -> str | None:
    """Adds up every batch; why not, where one has no answer that can be compared."""
    wrong = None
    for number, batch in enumerate(questions.batches()):
        bar.advance()
        if wrong:
            continue  # the bar goes on, the comparison is over
        wanted = reference.answers(str(number), len(sums.parity))
        answers, wrong = _ask(runner, questions, batch.inputs, wanted)
        if wrong:
            wrong = f"{batch}: {wrong}"
        else:
            sums.update(batch, wanted, answers)
    return wrong


def _agreement(context: RowContext, index: int) -> Agreement | None:
    """None for an output that decides nothing."""
    spec, judged = context.signature.outputs[index], context.judged(index)
    score = threshold(context.config, spec) if judged.classes else None
    decide = decision(spec.dtype, judged.classes, score)
    return Agreement(decide, context.bounds("fp32")[index].tie or 0.0) if decide else None


def _edge(
    runner: Runner, questions: Questions, reference: Reference, edge: Edge, bar: Bar
) -> EdgeComparison:
    bar.advance()
    if edge.case in reference.refused:
        return EdgeComparison(edge, refused=reference.refused[edge.case])
    wanted = reference.answers(edge.key, len(questions.signature.outputs))
    if not all(np.isfinite(ref).all() for ref in wanted):
        return EdgeComparison(edge, "the model itself gives NaN or infinity, before any export")
    scale = max((float(np.abs(ref).max()) for ref in wanted if ref.size), default=0.0)
    answers, wrong = _ask(runner, questions, edge.inputs, wanted)
    if not wrong and not all(np.isfinite(x).all() for x in answers):
        wrong = "gives NaN or infinity where the reference is finite"
    if wrong:
        return EdgeComparison(edge, wrong, scale=scale)
    count = questions.signature.samples_of(edge.inputs)
    parity = tuple(
        _parity(spec.rows(ref, count), spec.rows(x, count))
        for spec, ref, x in zip(questions.signature.outputs, wanted, answers, strict=True)
    )
    return EdgeComparison(edge, parity=parity, scale=scale)


def _parity(reference: Array, answer: Array) -> Parity:
    """Of one batch, [batch, ...]."""
    sums = ParitySums()
    sums.update(reference, answer, list(range(len(reference))))
    return sums.result()


def _ask(
    runner: Runner, questions: Questions, inputs: list[Array], wanted: list[Array]
) -> tuple[list[Array], str | None]:
    """The answers, or a sentence that says why they can't be compared."""
    try:
        answers = runner.run(inputs)
    except RunnerError as error:
        samples = questions.signature.samples_of(inputs)
        return [], f"raised on a batch of {samples}: {error}"
    wrong = misfit(answers, questions.signature, inputs)
    if wrong:
        return [], f"gives {wrong}"
    for spec, ref, x in zip(questions.signature.outputs, wanted, answers, strict=True):
        if ref.shape != x.shape:
            return [], f"gives {spec.name} as {list(x.shape)}, the reference as {list(ref.shape)}"
    return answers, None
