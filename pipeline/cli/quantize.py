"""`pipeline quantize --explain`, and what `status` says of the search."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipeline.cli.console import Terminal
    from pipeline.config import Config
    from pipeline.workspace.folder import StageStatus, Workspace

Explain = Annotated[
    bool,
    typer.Option(
        "--explain", help="Which layers suffer from int8, and what keeping them float gains."
    ),
]


def why(states: Sequence["StageStatus"]) -> dict[str, str]:
    """What the last quantize stage came to: its searches, by format and CPU, and named recipes."""
    for state in states:
        if state.stage == "quantize" and state.record is not None:
            reasons: Mapping[str, str] = state.record.summary.get("why", {})
            return dict(reasons)
    return {}


def explain(config: "Config", workspace: "Workspace", terminal: "Terminal", json: bool) -> None:
    """Brings the exports up to date, ranks their layers and shows it. The caller holds the
    workspace's lock."""
    from pipeline.cli import console, tables
    from pipeline.cli.outputs import Explained
    from pipeline.quantize.explain import explain as explain_layers
    from pipeline.run import inputs_of, run_stages

    run_stages(config, workspace, terminal, "export")
    scratch = workspace.root / ".scratch" / "explain"
    scratch.mkdir(parents=True, exist_ok=True)
    formats = explain_layers(config, inputs_of(workspace, "quantize"), scratch, terminal)
    if json:
        console.print_json(Explained(formats=formats))
        return
    for one in formats:
        terminal.show(f"[bold]{one.format}[/]  {one.candidate}, {one.samples} samples")
        terminal.show(tables.sensitivity_table(one))
