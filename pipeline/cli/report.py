"""What `pipeline report` does."""

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from pipeline.cli.console import Terminal
    from pipeline.config import Config
    from pipeline.workspace.folder import Workspace

Open = Annotated[bool, typer.Option("--open", help="Show it in the browser.")]
Compare = Annotated[
    Path | None,
    typer.Option(
        "--compare", metavar="RUN", help="Compare with another run: its folder or its name."
    ),
]


def report(
    config: "Config",
    workspace: "Workspace",
    other: Path | None,
    open: bool,
    terminal: "Terminal",
    json: bool,
) -> None:
    """Writes the page, says where it lies, shows it."""
    from pipeline.cli import console
    from pipeline.cli.outputs import Report
    from pipeline.report import write_comparison, write_report

    if not any(workspace.record(stage) for stage in ("train", "export")):
        raise UsageError(f"There is no run in {workspace.root}.", "pipeline run makes one.")
    if other is None:
        page = write_report(config, workspace)
    else:
        page = write_comparison(config, workspace, _run(other, workspace))
    if json:
        console.print_json(Report(report=str(page)))
    else:
        terminal.show(f"Report   {page}")
    if open and not webbrowser.open(page.resolve().as_uri()):
        terminal.warn("No browser was found; open the file in one.")


def _run(path: Path, workspace: "Workspace") -> "Workspace":
    from pipeline.workspace.folder import Workspace

    for candidate in (path, workspace.root.parent / path):
        if (candidate / "export").is_dir() or (candidate / "train").is_dir():
            return Workspace(candidate)
    raise UsageError(
        f"There is no run {path}.", f"Give its folder, or a name in {workspace.root.parent}."
    )
