"""What the stages left in a workspace, as far as the report shows it. What is not there is None."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import OutdatedError
from pipeline.system.machine import Machine
from pipeline.workspace.artifacts import Artifact, read_index, read_json
from pipeline.workspace.folder import Workspace
from pipeline.workspace.results.base import AnyResult, read_if_there
from pipeline.workspace.results.bench import BENCH, LATENCIES, Bench, BenchRow
from pipeline.workspace.results.drift import DRIFT, Drift
from pipeline.workspace.results.quantize import QUANTIZE, Point, Quantization, SearchRow
from pipeline.workspace.results.record import Record
from pipeline.workspace.results.verdict import VERDICT, Verdict, VerdictRow
from pipeline.workspace.stage import STAGES

Array = NDArray[Any]
Json = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """`latencies` are the milliseconds of every run and `rounds` how many each round has, an entry
    for each row of `bench`; `samples` and `pictures` what docs/parity.md says that verify leaves;
    `drift` by artifact. `outdated` are files that another version of this program has written:
    they are not shown."""

    records: dict[str, Record]
    artifacts: dict[str, tuple[Artifact, Path]]
    history: list[Json]
    verdict: Verdict | None
    bench: Bench | None
    latencies: list[Array]
    rounds: list[Array]
    samples: dict[str, Array]
    pictures: dict[int, Array]
    drift: dict[str, Drift]
    candidates: list[Point]
    searches: list[SearchRow]
    chosen: str | None
    outdated: list[str]

    @property
    def verdict_rows(self) -> list[VerdictRow]:
        return self.verdict.rows if self.verdict else []

    @property
    def bench_rows(self) -> list[BenchRow]:
        return self.bench.rows if self.bench else []

    @property
    def machine(self) -> Machine | None:
        made = self.bench or self.verdict
        return made.machine if made else None


def gather(workspace: Workspace) -> Evidence:
    verify, folder = workspace.stage("verify"), workspace.stage("bench")
    records = {stage: workspace.record(stage) for stage in STAGES}
    outdated: list[str] = []
    bench = _read(folder / BENCH, Bench, outdated)
    drifts = [_read(path, Drift, outdated) for path in sorted(verify.glob(DRIFT))]
    quantization = _read(workspace.stage("quantize") / QUANTIZE, Quantization, outdated)
    return Evidence(
        records={stage: record for stage, record in records.items() if record is not None},
        artifacts=_artifacts(workspace),
        history=_lines(workspace.stage("train") / "metrics.jsonl"),
        verdict=_read(verify / VERDICT, Verdict, outdated),
        bench=bench,
        latencies=_by_row(folder / LATENCIES, bench, "ms"),
        rounds=_by_row(folder / LATENCIES, bench, "rounds"),
        samples=_arrays(verify / "samples.npz"),
        pictures={
            int(name.removeprefix("sample.")): picture
            for name, picture in _arrays(verify / "pictures.npz").items()
        },
        drift={drift.artifact: drift for drift in drifts if drift is not None},
        candidates=quantization.candidates if quantization else [],
        searches=quantization.searches if quantization else [],
        chosen=_chosen(workspace),
        outdated=outdated,
    )


def _read(path: Path, model: type[AnyResult], outdated: list[str]) -> AnyResult | None:
    """None, and its name in `outdated`, for what another version has written."""
    try:
        return read_if_there(path, model)
    except OutdatedError:
        outdated.append(f"{path.parent.name}/{path.name}")
        return None


def _artifacts(workspace: Workspace) -> dict[str, tuple[Artifact, Path]]:
    folders = [workspace.stage(stage) for stage in ("export", "quantize")]
    return {
        artifact.id: (artifact, folder / artifact.file)
        for folder in folders
        if folder.is_dir()
        for artifact in read_index(folder)
    }


def _chosen(workspace: Workspace) -> str | None:
    """The artifact that a program takes which is not told otherwise: the bundle's first."""
    for path in workspace.stage("package").glob("*.bundle/manifest.json"):
        artifacts = read_json(path)["artifacts"]
        return str(artifacts[0]["id"]) if artifacts else None
    return None


def _by_row(path: Path, bench: Bench | None, what: str) -> list[Array]:
    arrays = _arrays(path)
    if bench is None or not arrays:
        return []
    return [
        arrays[f"{number}.{what}"] if f"{number}.{what}" in arrays else _of_a_phone(row, what)
        for number, row in enumerate(bench.rows)
    ]


def _of_a_phone(row: BenchRow, what: str) -> Array:
    """A phone's latencies stand in its row, all of one round; a row that failed has none."""
    times = row.latencies_ms or []
    return np.array(times, np.float64) if what == "ms" else np.array([len(times)], np.int64)


def _lines(path: Path) -> list[Json]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def _arrays(path: Path) -> dict[str, Array]:
    if not path.is_file():
        return {}
    with np.load(path) as file:
        return {name: file[name] for name in file.files}
