"""What `pipeline bench` has besides the stage: a quick look, peers, a comparison for CI."""

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UsageError, VerdictError

if TYPE_CHECKING:
    from pipeline.cli.console import Terminal
    from pipeline.config import Config
    from pipeline.workspace.folder import Workspace

QUICK_SECONDS = 2

Quick = Annotated[
    bool,
    typer.Option("--quick", help=f"{QUICK_SECONDS} seconds for each instead of 10: a first look."),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against", metavar="PEER,...", help="Also measure these peers: onnxruntime, openvino."
    ),
]
Compare = Annotated[
    Path | None,
    typer.Option(
        "--compare",
        metavar="RUN|BUNDLE",
        help="Measure against the artifacts of another run or of a bundle; exit 1 if slower.",
    ),
]


def overrides(quick: bool, against: str | None) -> list[str]:
    """The options as keys of the configuration."""
    names = [name.strip() for name in (against or "").split(",") if name.strip()]
    return [
        *([f"bench.seconds={QUICK_SECONDS}"] if quick else []),
        *([f"bench.against={json_text.dumps(names)}"] if names else []),
    ]


def found(path: Path, workspace: "Workspace") -> Path:
    """`path`, or the run of that name beside this one. Raises UsageError if there is neither."""
    for candidate in (path, workspace.root.parent / path):
        if candidate.is_dir():
            return candidate
    raise UsageError(
        f"There is no run or bundle {path}.",
        f"Give a folder, or the name of a run in {workspace.root.parent}.",
    )


def compare(
    config: "Config", workspace: "Workspace", other: Path, terminal: "Terminal", json: bool
) -> None:
    """Brings our artifacts up to date, measures both sides and tells. Raises VerdictError on a
    regression."""
    from pipeline.bench.compare import compare as measure
    from pipeline.cli import console, tables
    from pipeline.run import inputs_of, run_stages
    from pipeline.workspace.stage import Job

    run_stages(config, workspace, terminal, "quantize")
    scratch = workspace.scratch("compare", "")
    scratch.mkdir(parents=True, exist_ok=True)
    inputs = inputs_of(workspace, "bench")
    result = measure(Job(config, inputs, scratch, scratch, terminal), other)
    if json:
        console.print_json(result)
    else:
        terminal.show(tables.compare_table(result))
    slower = [f"{r.artifact} in {r.runtime}" for r in result.rows if r.tells == "slower"]
    if slower:
        raise VerdictError(
            f"Slower than {other}: {', '.join(slower)}.",
            "The whole 95 % interval of the ratio lies above 1.02. pipeline inspect shows what "
            "changed in a file.",
        )
