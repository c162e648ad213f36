"""`pipeline verify --drift ARTIFACT`: where an artifact leaves the reference."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.cli.console import Terminal
    from pipeline.config import Config
    from pipeline.workspace.folder import Workspace
    from pipeline.workspace.results.drift import Drift

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
    from pipeline.workspace.results.base import write_result

    run_stages(config, workspace, terminal, INPUTS[-1])
    inputs = {stage: workspace.stage(stage) for stage in INPUTS}
    out = workspace.root / FOLDER
    out.mkdir(exist_ok=True)
    file = find(inputs, artifact)
    with terminal.bar("drift", None) as bar:
        run = prepare(config, inputs, out)
        against = find(inputs, good) if good else default_against(run, file)
        found = measure(run, file, against, bar)
    name = file.id if not good else f"{file.id}-against-{found.against}"
    write_result(out / f"{name}.json", found)
    write_plot(found, out / f"{name}.svg")
    if json:
        console.print_json(found)
        return
    _show(terminal, found, out / f"{name}.svg")


def _show(terminal: "Terminal", found: "Drift", plot: Path) -> None:
    from pipeline.cli import tables

    terminal.show(tables.drift_table(found))
    terminal.show(
        f"{found.matched} tensors of {found.artifact} have a counterpart in "
        f"{found.against}, {found.unmatched} have none; {found.samples} samples."
    )
    if found.first_bad is None:
        terminal.show("[green]No layer leaves the reference.[/]")
    else:
        first = found.layers[found.first_bad]
        terminal.show(f"First bad layer  [bold]{first.name}[/] ({first.operator})")
        culprits = [found.layers[index] for index in found.culprits]
        if culprits:
            named = ", ".join(f"{layer.name} ({layer.operator})" for layer in culprits)
            terminal.show(f"By its own error [bold]{named}[/]")
        terminal.note(found.remedy or "")
    _show_mended(terminal, found)
    terminal.show(f"Plot     {plot}")


def _show_mended(terminal: "Terminal", found: "Drift") -> None:
    """One line a step: the layer that was mended besides those before, and what came of it."""
    known: set[int] = set()
    for step in found.mended or []:
        added = [found.layers[index].name for index in step.layers if index not in known]
        known.update(step.layers)
        db = "exact" if step.sqnr_db is None else f"{step.sqnr_db:.1f} dB"
        what = f"and {', '.join(added)}" if added else "with nothing"
        terminal.show(f"  {what} mended: {db}")
