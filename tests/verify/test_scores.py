"""Metrics that are sums over samples are resampled from those, with the same result."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline.config import Config
from pipeline.measure.task_metric import TaskMetric, build_metric
from pipeline.project.samples import Samples
from pipeline.verify.scores import Scored, Scores, drop_test

CLASSES = 4


def metric(name: str, **args: Any) -> TaskMetric:
    output = {"metric": name, "metric_args": {"num_classes": CLASSES, **args}}
    config = Config.model_validate({"model": {"entry": "m.py:f"}, "output": output})
    built = build_metric(config, CLASSES)
    assert built is not None
    return built


def masks(seed: int, wrong: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """Scores of classes [n, classes, 8, 8] and the classes, a part of them wrong."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, CLASSES, (48, 8, 8))
    seen = np.where(
        rng.random(targets.shape) < wrong, rng.integers(0, CLASSES, targets.shape), targets
    )
    return np.eye(CLASSES, dtype=np.float32)[seen].transpose(0, 3, 1, 2), list(targets)


def scored(built: TaskMetric, answers: np.ndarray, targets: list[np.ndarray]) -> Scored:
    samples = Samples(("x",), False, [(np.zeros(1),)] * len(targets), targets)
    scores = Scores(built, samples, paired=True)
    for start in range(0, len(answers), 16):
        scores.update(answers[start : start + 16], list(range(start, start + 16)))
    return scores.result()


@pytest.mark.parametrize(
    "name, args",
    [
        ("JaccardIndex", {"task": "multiclass"}),
        ("F1Score", {"task": "multiclass", "average": "macro"}),
        ("CohenKappa", {"task": "multiclass"}),
    ],
)
def test_sums_say_the_same_as_answers(name: str, args: dict[str, Any]) -> None:
    built = metric(name, **args)
    good, targets = masks(1, 0.1)
    bad, _ = masks(1, 0.2)
    reference, artifact = (scored(built, one, targets) for one in (good, bad))
    assert reference.sums is not None and reference.answers is None
    assert all(len(state) == 48 for state in reference.sums.values())
    fast = drop_test(built, targets, reference, artifact, 0.01, 0.95)
    plain = [replace(s, sums=None, answers=a) for s, a in ((reference, good), (artifact, bad))]
    slow = drop_test(built, targets, plain[0], plain[1], 0.01, 0.95)
    assert fast is not None and slow is not None
    assert fast.drop == pytest.approx(slow.drop, abs=1e-6)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=1e-6)
    assert fast.verdict == slow.verdict == "fail"


def test_a_metric_of_all_answers_together_keeps_those() -> None:
    output = {"metric": "SpearmanCorrCoef"}
    config = Config.model_validate({"model": {"entry": "m.py:f"}, "output": output})
    built = build_metric(config, None)
    assert built is not None
    rng = np.random.default_rng(0)
    answers = rng.normal(size=48).astype(np.float32)
    found = scored(built, answers, [np.array(a) for a in answers])
    assert found.sums is None and found.answers is not None
