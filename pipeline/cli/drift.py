"""`pipeline verify --drift ARTIFACT`: where an artifact leaves the reference."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.cli.console import Terminal
    from pipeline.config import Config
    from pipeline.workspace.folder import Workspace

INPUTS = ("train", "export", "quantize")
FOLDER = "drift"


def drift(
    config: "Config",
    workspace: "Workspace",
    terminal: "Terminal",
    artifact: str,
    good: str | None,
    json: bool,
) -> None:
    """Brings the artifacts up to date, measures one, and shows what was found. The caller holds
    the workspace's lock."""
    from pipeline.cli import console
    from pipeline.run import run_stages
    from pipeline.verify.drift.plot import write_plot
    from pipeline.verify.drift.run import default_against, find, prepare
    from pipeline.verify.drift.run import drift as measure
    from pipeline.workspace.artifacts import write_json

    run_stages(config, workspace, terminal, INPUTS[-1])
    inputs = {stage: workspace.stage(stage) for stage in INPUTS}
    out = workspace.root / FOLDER
    out.mkdir(exist_ok=True)
    file = find(inputs, artifact)
    with terminal.bar("drift", None) as bar:
        run = prepare(config, inputs, out)
        against = find(inputs, good) if good else default_against(run, file)
        found = measure(run, file, against, bar)
    name = file.id if not good else f"{file.id}-against-{found['against']}"
    write_json(out / f"{name}.json", found)
    write_plot(found, out / f"{name}.svg")
    if json:
        console.print_json(found)
        return
    _show(terminal, found, out / f"{name}.svg")


def _show(terminal: "Terminal", found: Mapping[str, Any], plot: Path) -> None:
    from pipeline.cli import tables

    terminal.show(tables.drift_table(found))
    terminal.show(
        f"{found['matched']} tensors of {found['artifact']} have a counterpart in "
        f"{found['against']}, {found['unmatched']} have none; {found['samples']} samples."
    )
    layers = found["layers"]
    if found["first_bad"] is None:
        terminal.show("[green]No layer leaves the reference.[/]")
    else:
        first = layers[found["first_bad"]]
        terminal.show(f"First bad layer  [bold]{first['name']}[/] ({first['operator']})")
        named = ", ".join(
            f"{layers[i]['name']} ({layers[i]['operator']})" for i in found["culprits"]
        )
        if named:
            terminal.show(f"By its own error [bold]{named}[/]")
        terminal.note(found["remedy"])
    _show_mended(terminal, found)
    terminal.show(f"Plot     {plot}")


def _show_mended(terminal: "Terminal", found: Mapping[str, Any]) -> None:
    """One line a step: the layer that was mended besides those before, and what came of it."""
    known: set[int] = set()
    for step in found.get("mended", []):
        added = [found["layers"][i]["name"] for i in step["layers"] if i not in known]
        known.update(step["layers"])
        db = "exact" if step["sqnr_db"] is None else f"{step['sqnr_db']:.1f} dB"
        what = f"and {', '.join(added)}" if added else "with nothing"
        terminal.show(f"  {what} mended: {db}")
