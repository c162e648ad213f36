"""`workers = "ray"`: what workers of a cluster leave is what this process would have made."""

import os
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.quantize.candidates import Candidate, candidates
from pipeline.quantize.make import OnnxMaker
from pipeline.quantize.search.evaluator import Evaluator, Rung
from pipeline.quantize.search.ray_workers import spread
from pipeline.quantize.search.trial import TrialRunner
from tests.quantize.quantize_cases import Exported
from tests.quantize.test_search import task_of
from tests.ray_nodes import ray_nodes


@pytest.mark.slow
@pytest.mark.full
def test_candidates_made_on_a_cluster(
    digits: Exported,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = task_of(digits, tmp_path / "scratch")
    given = candidates("onnx", "x86_64", ["convolutions", "linear layers"])[:4]
    rung = Rung(64, 2, 0.0)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # of the workers
    with ray_nodes(tmp_path_factory.mktemp("r")) as address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        spread(task, tmp_path / "there", given, rung, task.bar)
    evaluator = Evaluator(task.config, task.signature, task.source, task.path, tmp_path)
    there = TrialRunner(Never(), evaluator, tmp_path / "there", measures=False)  # type: ignore[arg-type]
    here = TrialRunner(OnnxMaker(task), evaluator, tmp_path / "here", measures=False)
    for candidate in given:
        assert asdict(there.score(there.made(candidate), rung)) == asdict(
            here.score(here.made(candidate), rung)
        )


class Never:
    """Makes nothing: all was made on the cluster."""

    def make(self, candidate: Candidate) -> None:
        raise AssertionError(f"{candidate.name} was not made on the cluster")
