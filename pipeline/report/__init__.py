"""`report/index.html`: what a run came to, on one page that needs no network."""

from importlib import resources
from pathlib import Path
from typing import Any

from pipeline.artifacts import read_index, read_json
from pipeline.config import Config
from pipeline.stage import STAGES
from pipeline.workspace import Ingredients, Record, Workspace, digest_of

REPORT = "report"
PAGE = "index.html"


def write_report(config: Config, workspace: Workspace) -> Path:
    """Writes the page unless the one that is there was made from the same stages."""
    page = workspace.stage(REPORT) / PAGE
    records = {stage: workspace.record(stage) for stage in STAGES}
    shown = {stage: record for stage, record in records.items() if record is not None}
    made_of = _ingredients(config, shown)
    if workspace.status(REPORT, made_of).state != "fresh":
        with workspace.publish(REPORT) as draft:
            html = _render(config, workspace, shown)
            (draft.folder / PAGE).write_text(html, encoding="utf-8")
            draft.ingredients = made_of
    return page


def _ingredients(config: Config, records: dict[str, Record]) -> Ingredients:
    home = resources.files(__package__)
    code = {name: home.joinpath(name).read_text("utf-8") for name in ("page.html", "plots.py")}
    stages = {stage: digest_of(record, ("*",)) for stage, record in records.items()}
    return {"stages": stages, "code": code, "name": config.name}


def _render(config: Config, workspace: Workspace, records: dict[str, Record]) -> str:
    from jinja2 import Environment, StrictUndefined

    from pipeline.report import plots

    verdict = _stage_json(workspace, "verify", "verdict.json")
    bench = _stage_json(workspace, "bench", "bench.json")
    history = _history(workspace)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        resources.files(__package__).joinpath("page.html").read_text("utf-8")
    )
    return template.render(
        config=config,
        headline=headline(verdict),
        verdict=verdict,
        bench=bench,
        artifacts=_artifacts(workspace),
        stages=[(records[stage], stage) for stage in STAGES if stage in records],
        training_plot=plots.training(history) if history else None,
        latency_plot=plots.latencies(bench["rows"]) if bench else None,
        error_plot=plots.errors(verdict["rows"]) if verdict else None,
    )


def headline(verdict: dict[str, Any] | None) -> str:
    """The verdict in one sentence."""
    if verdict is None:
        return "Nothing has been verified yet."
    rows = verdict["rows"]
    failed = [row for row in rows if row["verdict"] != "pass"]
    samples = (
        f"{verdict['samples']} {'synthetic' if verdict['synthetic'] else 'validation'} samples"
    )
    if failed:
        names = ", ".join(f"{row['artifact']} in {row['runtime']}" for row in failed)
        return f"{len(failed)} of {len(rows)} rows fail on {samples}: {names}."
    here = sum("device" not in row for row in rows)
    phones = len(rows) - here
    also = f" On phones {phones} more do, on the golden samples." if phones else ""
    return f"All {here} rows answer as eager PyTorch does, on {samples} and on edge inputs.{also}"


def _stage_json(workspace: Workspace, stage: str, name: str) -> dict[str, Any] | None:
    path = workspace.stage(stage) / name
    return read_json(path) if path.is_file() else None


def _artifacts(workspace: Workspace) -> list[Any]:
    folders = [workspace.stage(stage) for stage in ("export", "quantize")]
    return [item for folder in folders if folder.is_dir() for item in read_index(folder)]


def _history(workspace: Workspace) -> list[dict[str, Any]]:
    import json

    path = workspace.stage("train") / "metrics.jsonl"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line]
