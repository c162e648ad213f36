"""`workers = "ray"`: candidates are made and their answers scored on a Ray cluster.

Every node reads and writes the workspace under the same path. What a worker leaves is what
`trial.TrialRunner` would have left: it finds the files, and measures times here.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.devices.ray_cluster import connected, each
from pipeline.errors import PipelineError
from pipeline.quantize.candidates import Candidate
from pipeline.quantize.make import maker_of
from pipeline.quantize.recipes import Task
from pipeline.quantize.search.evaluator import Evaluator, Rung
from pipeline.quantize.search.trial import TrialRunner
from pipeline.system.progress import Bar, Silent

Chunk = tuple[Candidate, ...]


def spread(task: Task, folder: Path, given: Sequence[Candidate], rung: Rung, bar: Bar) -> None:
    """Makes and scores the candidates, as many at once as the cluster has cores. Each worker
    calibrates for itself, so that candidates go out in chunks. Raises SetupError without Ray."""
    with Silent().bar("", None) as nobody:
        bare = replace(task, bar=nobody)

    def work(chunk: Chunk) -> int:
        return score(bare, folder, chunk, rung)

    address = os.environ.get("RAY_ADDRESS", "auto")
    with connected(address) as ray:
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        for chunk, _ in each(ray, work, chunks(given, cores)):
            bar.advance(len(chunk), f"on Ray: {chunk[0].name}")


def chunks(given: Sequence[Candidate], count: int) -> list[Chunk]:
    """At most `count` parts of nearly the same length."""
    parts = [tuple(given[start::count]) for start in range(min(count, len(given)))]
    return [part for part in parts if part]


def score(task: Task, folder: Path, chunk: Chunk, rung: Rung) -> int:
    """What one worker does: the number of candidates that could be made and scored."""
    scratch = task.scratch / f"worker-{chunk[0].key}"
    scratch.mkdir(parents=True, exist_ok=True)
    task = replace(task, scratch=scratch)
    evaluator = Evaluator(task.config, task.signature, task.source, task.path, scratch)
    trial_runner = TrialRunner(maker_of(task), evaluator, folder, measures=False)
    done = 0
    for candidate in chunk:
        try:
            trial_runner.score(trial_runner.made(candidate), rung)
            done += 1
        except PipelineError:
            continue  # the search comes upon it again, and says it
    return done
