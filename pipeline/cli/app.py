"""The command `pipeline`. Everything heavy is imported inside the commands."""

import functools
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from pipeline import __version__
from pipeline.cli import android as cli_android
from pipeline.cli import bench as cli_bench
from pipeline.cli import project as cli_beside
from pipeline.cli import quantize as cli_quantize
from pipeline.cli import report as cli_report
from pipeline.cli import runner as cli_runner
from pipeline.cli import train as cli_train
from pipeline.cli.options import ConfigFile, Json, Overrides, Wait, Where
from pipeline.cli.stages import run_stages, work_on
from pipeline.errors import Interrupted, PipelineError, brief

INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h: a mistake of this program's

app = typer.Typer(
    name="pipeline",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Takes a PyTorch model to where there is no Python, and proves that it answers the same.

train → export → quantize → verify → bench → package

[bold]Start here[/]

  pipeline init my-model && pipeline run -c my-model

[bold]Exit codes[/]  0 done · 1 the verdict is fail · 2 usage, configuration, model or data ·
3 this machine lacks something · 4 a damaged file · 70 a mistake of ours · 130 interrupted""",
)

Force = Annotated[bool, typer.Option("--force", help="Run again even if the results are fresh.")]
AllowFailed = Annotated[
    bool,
    typer.Option("--allow-failed", help="Package despite a failed verdict; the manifest says so."),
]

_HERE = Path()


def main() -> NoReturn:
    """The entry point."""
    try:
        _main()
    except SystemExit as end:
        if cli_train.many() and isinstance(end.code, int):
            # All is written. Threads of torch's groups abort an interpreter that shuts down.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise


def _main() -> NoReturn:
    """The one place that turns errors into exit codes."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    signal.signal(signal.SIGTERM, _terminate)
    # torch's C++ prints that quantized tensors are deprecated whenever an int8 file is opened.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        app()
    except PipelineError as error:
        _fail(error, debug)
    except KeyboardInterrupt:
        hint = "Run the same command again: it goes on with what is done."
        _fail(Interrupted("Interrupted.", hint), debug)
    except Exception as error:
        if debug:
            raise
        hint = "This is a mistake in the pipeline, not in your input. --debug shows where."
        _fail(PipelineError(brief(error), hint), debug, INTERNAL_ERROR)
    raise SystemExit(0)


def _fail(error: PipelineError, debug: bool, code: int | None = None) -> NoReturn:
    if debug:
        raise error
    from pipeline.cli.console import show_error

    if not cli_train.left_to_launcher(error):
        show_error(error)
    raise SystemExit(error.exit_code if code is None else code)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pipeline {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[  # main() takes it from anywhere in the line
        bool, typer.Option("--debug", help="Show tracebacks; goes with every command.")
    ] = False,
) -> None: ...


@app.command()
def run(
    config: ConfigFile = _HERE,
    override: Overrides = None,
    workspace: Where = None,
    force: Force = False,
    allow_failed: AllowFailed = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Runs every stage that is not fresh, from training to the bundle.

    Example:  pipeline run -c examples/digits --set train.epochs=3
    """
    work = work_on(config, override, workspace, json, allow_failed)
    run_stages("package", work, force, wait, whole=True)


def _command_for(stage: str, summary: str) -> None:
    def command(
        config: ConfigFile = _HERE,
        override: Overrides = None,
        workspace: Where = None,
        force: Force = False,
        wait: Wait = False,
        json: Json = False,
    ) -> None:
        run_stages(stage, work_on(config, override, workspace, json), force, wait)

    command.__doc__ = f"{summary}\n\nExample:  pipeline {stage} -c examples/digits"
    app.command(stage)(command)


@app.command()
def train(
    config: ConfigFile = _HERE,
    override: Overrides = None,
    workspace: Where = None,
    nproc_per_node: cli_train.Processes = None,
    nnodes: cli_train.Nodes = "1",
    rdzv_endpoint: cli_train.Meeting = None,
    max_restarts: cli_train.Restarts = 3,
    launcher: cli_train.Launcher = "torchrun",
    ray_address: cli_train.Address = None,
    profile: cli_train.Profile = False,
    force: Force = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Trains the model, or goes on where it was interrupted; on as many machines as there are.

    Example:  pipeline train -c examples/digits --nproc-per-node auto
    """
    work = work_on(config, override, workspace, json)
    if launcher == "ray":
        cli_train.launched_on_ray(ray_address, nproc_per_node, max_restarts, work.workspace)
        return
    if cli_train.launched(nproc_per_node, nnodes, rdzv_endpoint, max_restarts):
        return
    lead = functools.partial(run_stages, "train", work, force, wait)
    if profile:
        what = (work.config, work.workspace, work.terminal, wait, json)
        lead = functools.partial(cli_train.profile, *what)
    if cli_train.many():
        cli_train.together(work.config, work.workspace, lead)
    else:
        lead()


_command_for("export", "Exports TorchScript and ONNX, preprocessing included.")


@app.command()
def quantize(
    config: ConfigFile = _HERE,
    override: Overrides = None,
    workspace: Where = None,
    explain: cli_quantize.Explain = False,
    force: Force = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Searches int8 that is fast and exact enough; makes the artifacts of \\[quantize] recipes.

    Example:  pipeline quantize -c examples/digits --explain

    With --explain nothing is made: layers are shown, the most sensitive first.
    """
    work = work_on(config, override, workspace, json)
    if not explain:
        run_stages("quantize", work, force, wait)
        return
    with work.workspace.lock("pipeline quantize --explain", wait):
        cli_quantize.explain(work.config, work.workspace, work.terminal, json)


@app.command()
def verify(
    config: ConfigFile = _HERE,
    override: Overrides = None,
    workspace: Where = None,
    emulate: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="arm64|jvm",
            help="Also compare on ARM64 under QEMU, or in the Android app's core.",
        ),
    ] = None,
    drift: Annotated[
        str | None,
        typer.Option(
            metavar="ARTIFACT", help="Compare this artifact layer by layer: where it drifts."
        ),
    ] = None,
    good: Annotated[
        str | None,
        typer.Option(
            metavar="ARTIFACT",
            help="With --drift: compare against this artifact, not eager PyTorch.",
        ),
    ] = None,
    force: Force = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Compares every artifact in every runtime with eager PyTorch.

    Example:  pipeline verify -c examples/digits --with arm64

    Example:  pipeline verify -c examples/digits --drift onnx-int8-static
    """
    override = [*(override or []), *([f"verify.emulate={emulate}"] if emulate else [])]
    work = work_on(config, override, workspace, json)
    if drift is None:
        run_stages("verify", work, force, wait)
        return
    from pipeline.cli.drift import drift as show_drift

    with work.workspace.lock("pipeline verify --drift", wait):
        show_drift(work.config, work.workspace, work.terminal, drift, good, json)


@app.command()
def bench(
    config: ConfigFile = _HERE,
    override: Overrides = None,
    workspace: Where = None,
    quick: cli_bench.Quick = False,
    against: cli_bench.Against = None,
    compare: cli_bench.Compare = None,
    force: Force = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Measures load time, latency, throughput and memory.

    Example:  pipeline bench -c examples/digits --against onnxruntime,openvino

    With --compare nothing is kept: exit 1 if an artifact has become slower.
    """
    override = [*(override or []), *cli_bench.overrides(quick, against)]
    work = work_on(config, override, workspace, json)
    if compare is None:
        run_stages("bench", work, force, wait)
        return
    other = cli_bench.found(compare, work.workspace)
    with work.workspace.lock("pipeline bench --compare", wait):
        cli_bench.compare(work.config, work.workspace, other, work.terminal, json)


@app.command()
def package(
    config: ConfigFile = _HERE,
    override: Overrides = None,
    workspace: Where = None,
    force: Force = False,
    allow_failed: AllowFailed = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Packs the bundle; refuses when the verdict is fail.

    Example:  pipeline package -c examples/digits
    """
    work = work_on(config, override, workspace, json, allow_failed)
    run_stages("package", work, force, wait)


@app.command()
def status(
    config: ConfigFile = _HERE,
    override: Overrides = None,
    workspace: Where = None,
    json: Json = False,
) -> None:
    """Says of each stage whether it is fresh, stale (and why), damaged or missing.

    Example:  pipeline status -c examples/digits
    """
    from pipeline.cli import console, tables
    from pipeline.cli.outputs import StageState, Status
    from pipeline.run import status as states_of

    work = work_on(config, override, workspace, json)
    states = states_of(work.config, work.workspace)
    result = Status(
        workspace=str(work.workspace.root),
        stages=[StageState(stage=s.stage, state=s.state, why=list(s.why)) for s in states],
        quantize=cli_quantize.why(states),
    )
    if json:
        console.print_json(result)
        return
    work.terminal.show(tables.status_table(result.stages))
    for what, reason in result.quantize.items():
        work.terminal.note(f"{what}: {reason}")


@app.command()
def report(
    config: ConfigFile = _HERE,
    override: Overrides = None,
    workspace: Where = None,
    compare: cli_report.Compare = None,
    open: cli_report.Open = False,
    json: Json = False,
) -> None:
    """Writes the report on what is there, as one file that needs no network.

    Example:  pipeline report -c examples/digits --open
    """
    work = work_on(config, override, workspace, json)
    cli_report.report(work.config, work.workspace, compare, open, work.terminal, json)


app.command()(cli_beside.init)
app.command()(cli_beside.inspect)
app.add_typer(cli_runner.app, name="runner")
app.add_typer(cli_android.app, name="android")
app.command()(cli_beside.doctor)
