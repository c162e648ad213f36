"""One artifact in one runtime against the reference: what is found, not yet judged."""

from dataclasses import dataclass

import numpy as np

from pipeline.graph.array import Array
from pipeline.measure.parity import Agreement, Parity, ParitySums
from pipeline.runtimes import Runner, RunnerError
from pipeline.system.progress import Bar
from pipeline.verify.edge_cases import Edge
from pipeline.verify.reference import Questions, Reference, misfit
from pipeline.verify.samples_kept import SamplesKept
from pipeline.verify.scores import Scored, Scores


@dataclass(frozen=True)
class OutputFound:
    """One output over the samples. `not_finite` and `ref_not_finite` are indices of samples."""

    parity: Parity
    agreement: Agreement | None
    not_finite: list[int]
    ref_not_finite: list[int]


@dataclass(frozen=True)
class EdgeFound:
    """One edge case. `wrong` is a sentence if there is no answer to compare, `refused` one if the
    reference itself gives none; else one Parity for each output. `scale` is the largest magnitude
    of the reference's answer."""

    edge: Edge
    wrong: str | None = None
    refused: str | None = None
    parity: tuple[Parity, ...] = ()
    scale: float = 0.0


@dataclass(frozen=True)
class Found:
    """`wrong` says why the samples could not be compared; `outputs` is empty then."""

    wrong: str | None
    outputs: tuple[OutputFound, ...]
    scored: Scored
    edges: tuple[EdgeFound, ...]

    @property
    def metric(self) -> float | None:
        return self.scored.value


@dataclass(frozen=True)
class Gathers:
    """What adds up over the batches of a row: decisions by output (None for one that decides
    nothing), the metric, and what the report shows of each sample."""

    agreements: list[Agreement | None]
    scores: Scores
    kept: SamplesKept


def compare(
    runner: Runner,
    questions: Questions,
    reference: Reference,
    gathers: Gathers,
    bar: Bar,
) -> Found:
    """Asks an opened runner everything."""
    agreements = gathers.agreements
    sums = [ParitySums() for _ in questions.signature.outputs]
    wrong = None
    for number, batch in enumerate(questions.batches()):
        bar.advance()
        if wrong:
            continue  # the bar goes on, the comparison is over
        wanted = reference.answers(str(number), len(sums))
        answers, wrong = _ask(runner, questions, batch.inputs, wanted)
        if wrong:
            wrong = f"samples {batch.samples[0]} to {batch.samples[-1]}: {wrong}"
            continue
        count = len(batch.samples)
        for total, agreement, ref, x in zip(sums, agreements, wanted, answers, strict=True):
            total.update(ref[:count], x[:count], batch.samples)
            if agreement is not None:
                agreement.update(ref[:count], x[:count], batch.samples)
        gathers.scores.update(answers[0][:count], batch.samples)
        gathers.kept.update(wanted[0][:count], answers[0][:count], batch.samples)
    outputs = tuple(
        OutputFound(total.result(), agreement, total.not_finite, total.ref_not_finite)
        for total, agreement in zip(sums, agreements, strict=True)
    )
    edges = tuple(_edge(runner, questions, reference, edge, bar) for edge in questions.edges)
    if wrong:
        return Found(wrong, (), Scored(None), edges)
    return Found(None, outputs, gathers.scores.result(), edges)


def _edge(
    runner: Runner, questions: Questions, reference: Reference, edge: Edge, bar: Bar
) -> EdgeFound:
    bar.advance()
    if edge.case in reference.refused:
        return EdgeFound(edge, refused=reference.refused[edge.case])
    wanted = reference.answers(edge.key, len(questions.signature.outputs))
    if not all(np.isfinite(ref).all() for ref in wanted):
        return EdgeFound(edge, "the model itself gives NaN or infinity, before any export")
    scale = max((float(np.abs(ref).max()) for ref in wanted if ref.size), default=0.0)
    answers, wrong = _ask(runner, questions, edge.inputs, wanted)
    if not wrong and not all(np.isfinite(x).all() for x in answers):
        wrong = "gives NaN or infinity where the reference is finite"
    if wrong:
        return EdgeFound(edge, wrong, scale=scale)
    found = []
    for ref, x in zip(wanted, answers, strict=True):
        sums = ParitySums()
        sums.update(ref, x, list(range(len(ref))))
        found.append(sums.result())
    return EdgeFound(edge, parity=tuple(found), scale=scale)


def _ask(
    runner: Runner, questions: Questions, inputs: list[Array], wanted: list[Array]
) -> tuple[list[Array], str | None]:
    """The answers, or a sentence that says why they can't be compared."""
    try:
        answers = runner.run(inputs)
    except RunnerError as error:
        return [], f"raised on a batch of {len(inputs[0])}: {error}"
    wrong = misfit(answers, questions.signature.outputs, len(inputs[0]))
    if wrong:
        return [], f"gives {wrong}"
    for spec, ref, x in zip(questions.signature.outputs, wanted, answers, strict=True):
        if ref.shape != x.shape:
            return [], f"gives {spec.name} as {list(x.shape)}, the reference as {list(ref.shape)}"
    return answers, None
