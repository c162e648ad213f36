"""The commands beside the stages: a new project, a look into files, a look at the machine."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Json


def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    name: Annotated[str | None, typer.Option(help="Default: the folder's name.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
) -> None:
    """Writes a commented pipeline.toml and a model file that run at once.

    Example:  pipeline init my-model && pipeline run -c my-model
    """
    from pipeline.cli.console import Terminal
    from pipeline.project.init import write_project

    terminal = Terminal()
    for path in write_project(folder, name, force):
        terminal.note(f"wrote {path}")
    terminal.note(f"Next:  pipeline run -c {shlex.quote(str(folder))}")


def inspect(
    path: Annotated[Path, typer.Argument(help=".onnx, .pt, .safetensors, a bundle, a workspace.")],
    json: Json = False,
) -> None:
    """Shows what is in a file or bundle: signature, operators, sizes, precision, provenance.

    Example:  pipeline inspect runs/digits/package/digits.bundle
    """
    from pipeline.cli import console, tables
    from pipeline.report.inspection import inspect as inspect_path

    facts = inspect_path(path)
    if json:
        console.print_json(facts)
    else:
        console.Terminal().show(tables.facts(facts.to_json()))


def doctor(json: Json = False) -> None:
    """Compares this machine with what is tested; says what is missing and how to get it.

    Example:  pipeline doctor
    """
    from pipeline.cli import console, tables
    from pipeline.cli.outputs import Check, Doctor
    from pipeline.devices.doctor import examine
    from pipeline.errors import SetupError

    checks = [Check(**vars(check)) for check in examine()]
    if json:
        console.print_json(Doctor(checks=checks))
    else:
        console.Terminal().show(tables.checks_table(checks))
    missing = [check for check in checks if check.status == "missing"]
    if missing:
        names = ", ".join(check.name for check in missing)
        raise SetupError(f"Missing: {names}.", missing[0].remedy)
