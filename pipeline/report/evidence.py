"""What the stages left in a workspace, as far as the report shows it. What is not there is None."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.workspace.artifacts import Artifact, read_index, read_json
from pipeline.workspace.folder import Workspace
from pipeline.workspace.results.record import Record
from pipeline.workspace.stage import STAGES

Array = NDArray[Any]
Json = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """`latencies` are the milliseconds of every run and `rounds` how many each round has, an entry
    for each row of `bench`; `samples` and `pictures` what docs/parity.md says that verify leaves;
    `drift` by artifact."""

    records: dict[str, Record]
    artifacts: dict[str, tuple[Artifact, Path]]
    history: list[Json]
    verdict: Json | None
    bench: Json | None
    latencies: list[Array]
    rounds: list[Array]
    samples: dict[str, Array]
    pictures: dict[int, Array]
    drift: dict[str, Json]
    candidates: list[Json]
    searches: list[Json]
    chosen: str | None
    labels: list[str] | None


def gather(workspace: Workspace) -> Evidence:
    verify, bench = workspace.stage("verify"), workspace.stage("bench")
    records = {stage: workspace.record(stage) for stage in STAGES}
    verdict = _rows_named(_json(verify / "verdict.json"))
    measured = _rows_named(_json(bench / "bench.json"))
    if measured is not None and "control" not in measured:
        measured = None  # of an older version, which measured otherwise
    quantized = _json(workspace.stage("quantize") / "quantize.json") or {}
    return Evidence(
        records={stage: record for stage, record in records.items() if record is not None},
        artifacts=_artifacts(workspace),
        history=_lines(workspace.stage("train") / "metrics.jsonl"),
        verdict=verdict,
        bench=measured,
        latencies=_by_row(bench / "latencies.npz", measured, "ms"),
        rounds=_by_row(bench / "latencies.npz", measured, "rounds"),
        samples=_arrays(verify / "samples.npz"),
        pictures={
            int(name.removeprefix("sample.")): picture
            for name, picture in _arrays(verify / "pictures.npz").items()
        },
        drift={
            str(found["artifact"]): found
            for path in sorted(verify.glob("drift.*.json"))
            if (found := _json(path)) is not None
        },
        candidates=quantized.get("candidates", []),
        searches=quantized.get("searches", []),
        chosen=_chosen(workspace),
        labels=(verdict or {}).get("labels"),
    )


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


def _rows_named(found: Json | None) -> Json | None:
    """A phone's rows are of a runtime on that phone: two phones are two columns."""
    for row in (found or {}).get("rows", []):
        if "device" in row:
            row["runtime"] = f"{row['runtime']} · {row['device']}"
    return found


def _by_row(path: Path, bench: Json | None, what: str) -> list[Array]:
    arrays = _arrays(path)
    if bench is None or not arrays:
        return []
    return [
        arrays[f"{number}.{what}"] if f"{number}.{what}" in arrays else _of_a_phone(row, what)
        for number, row in enumerate(bench["rows"])
    ]


def _of_a_phone(row: Json, what: str) -> Array:
    """A phone's latencies stand in its row, all of one round; a row that failed has none."""
    times = row.get("latencies_ms", [])
    return np.array(times, np.float64) if what == "ms" else np.array([len(times)], np.int64)


def _json(path: Path) -> Json | None:
    return dict(read_json(path)) if path.is_file() else None


def _lines(path: Path) -> list[Json]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]


def _arrays(path: Path) -> dict[str, Array]:
    if not path.is_file():
        return {}
    with np.load(path) as file:
        return {name: file[name] for name in file.files}
