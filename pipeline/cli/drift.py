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
        measured = measure(run, file, against, bar)
    name = file.id if not good else f"{file.id}-against-{measured.against}"
    write_result(out / f"{name}.json", measured)
    write_plot(measured, out / f"{name}.svg")
    if json:
        console.print_json(measured)
        return
    _show(terminal, measured, out / f"{name}.svg")


def _show(terminal: "Terminal", measured: "Drift", plot: Path) -> None:
    from pipeline.cli import tables

    terminal.show(tables.drift_table(measured))
    terminal.show(
        f"{measured.matched} tensors of {measured.artifact} have a counterpart in "
        f"{measured.against}, {measured.unmatched} have none; {measured.samples} samples."
    )
    if measured.first_bad is None:
        terminal.show("[green]No layer leaves the reference.[/]")
    else:
        first = measured.layers[measured.first_bad]
        terminal.show(f"First bad layer  [bold]{first.name}[/] ({first.operator})")
        culprits = [measured.layers[index] for index in measured.culprits]
        if culprits:
            named = ", ".join(f"{layer.name} ({layer.operator})" for layer in culprits)
            terminal.show(f"By its own error [bold]{named}[/]")
        terminal.note(measured.remedy or "")
    _show_mended(terminal, measured)
    terminal.show(f"Plot     {plot}")


def _show_mended(terminal: "Terminal", measured: "Drift") -> None:
    """One line a step: the layer that was mended besides those before, and what came of it."""
    known: set[int] = set()
    for step in measured.mended or []:
        added = [measured.layers[index].name for index in step.layers if index not in known]
        known.update(step.layers)
        db = "exact" if step.sqnr_db is None else f"{step.sqnr_db:.1f} dB"
        what = f"and {', '.join(added)}" if added else "with nothing"
        terminal.show(f"  {what} mended: {db}")
