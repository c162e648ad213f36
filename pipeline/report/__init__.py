"""`report/index.html`: what a run came to, on one page that needs no network; and two runs beside
each other, `comparison/index.html`."""

from importlib import resources
from pathlib import Path

from pipeline.config import Config
from pipeline.workspace.folder import Workspace, digest_of
from pipeline.workspace.results.record import Ingredients, Record
from pipeline.workspace.stage import STAGES

REPORT = "report"
COMPARISON = "comparison"
PAGE = "index.html"


def write_report(config: Config, workspace: Workspace) -> Path:
    """Writes the page unless the one that is there was made from the same stages."""
    page = workspace.stage(REPORT) / PAGE
    records = {stage: workspace.record(stage) for stage in STAGES}
    made_of = _ingredients(config, {name: one for name, one in records.items() if one is not None})
    if workspace.status(REPORT, made_of).state != "fresh":
        from pipeline.report.page import page_of

        with workspace.publish(REPORT) as draft:
            (draft.folder / PAGE).write_text(page_of(config, workspace), encoding="utf-8")
            draft.ingredients = made_of
    return page


def write_comparison(config: Config, workspace: Workspace, other: Workspace) -> Path:
    """Writes the page of two runs; `other` stands on the left, as what was before."""
    from pipeline.report.comparison import comparison_of

    html = comparison_of(config, workspace, other)
    with workspace.publish(COMPARISON) as draft:
        (draft.folder / PAGE).write_text(html, encoding="utf-8")
    return workspace.stage(COMPARISON) / PAGE


def _ingredients(config: Config, records: dict[str, Record]) -> Ingredients:
    home = resources.files(__package__)
    files = [entry for entry in home.iterdir() if entry.name.endswith(".py")]
    files += list(home.joinpath("templates").iterdir())
    code = {entry.name: entry.read_text("utf-8") for entry in files if entry.is_file()}
    stages = {stage: digest_of(record, ("*",)) for stage, record in records.items()}
    shown = config.model_dump(mode="json", include={"name", "version", "package"})
    return {"stages": stages, "code": code, "config": shown}
