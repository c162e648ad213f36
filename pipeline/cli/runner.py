"""The commands `pipeline runner ...`."""

from typing import Annotated

import typer

from pipeline.cli.options import Json

app = typer.Typer(
    no_args_is_help=True,
    help="The C++ runner: what runs a bundle without Python. Built, it brings rows of its own.",
)


@app.command()
def build(
    clean: Annotated[bool, typer.Option("--clean", help="Rebuild everything.")] = False,
    arm64: Annotated[
        bool, typer.Option("--arm64", help="For ARM64, to be run under QEMU: answers, no timings.")
    ] = False,
    json: Json = False,
) -> None:
    """Builds edge-runner for the LibTorch and ONNX Runtime of this Python.

    Example:  pipeline runner build
    """
    from pipeline.cli import console
    from pipeline.cli.outputs import Program
    from pipeline.runner.build import build as build_runner

    terminal = console.Terminal(json_only=json)
    program = build_runner(terminal, clean, "arm64" if arm64 else "host")
    if json:
        console.print_json(Program(program=str(program)))
    else:
        terminal.show(f"C++ runner  {program}")


@app.command()
def path(
    arm64: Annotated[
        bool, typer.Option("--arm64", help="For ARM64: preceded by the emulator's command.")
    ] = False,
    json: Json = False,
) -> None:
    """Prints what starts the built program.

    Example:  $(pipeline runner path) info digits.bundle
    """
    from pipeline.cli import console
    from pipeline.cli.outputs import RunnerPath
    from pipeline.runner.program import words

    command = words("arm64" if arm64 else "host")
    if json:
        console.print_json(RunnerPath(program=command[-1], words=command))
    else:
        typer.echo(" ".join(command))
