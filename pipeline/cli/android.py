"""The commands `pipeline android ...`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import ConfigFile, Json, Overrides, Wait, Where

if TYPE_CHECKING:
    from pipeline.cli.console import Terminal
    from pipeline.config import Config
    from pipeline.devices.android.phone import AnyAnswer, What
    from pipeline.devices.android.rows import AnyRow
    from pipeline.devices.android.sources import Flavor
    from pipeline.workspace.artifacts import Artifact
    from pipeline.workspace.results.base import AnyResult, Result

app = typer.Typer(
    no_args_is_help=True,
    help="The Android app around a bundle: built without an SDK, and asked on a phone over adb.",
)

Serial = Annotated[
    str | None, typer.Option("--serial", help="The device, where several are connected.")
]
Engine = Annotated[str, typer.Option("--engine", help="cpu, xnnpack, nnapi or pytorch.")]
Only = Annotated[str | None, typer.Option("--artifact", metavar="ID", help="Only this artifact.")]
Threads = Annotated[int, typer.Option("--threads", min=0, help="0: all cores of the device.")]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for the app.")]
_HERE = Path()


@app.command()
def build(
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE...", help="Packaged bundles to put into it.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The APK to write.")] = Path("app.apk"),
    abi: Annotated[
        list[str] | None,
        typer.Option(
            "--abi", help="arm64-v8a (default) or x86_64, for emulators; may be repeated."
        ),
    ] = None,
    pytorch: Annotated[
        bool, typer.Option("--pytorch", help="With PyTorch 1.13.1 for TorchScript: 70 MB more.")
    ] = False,
    key: Annotated[
        Path | None, typer.Option("--key", help="Key store to sign with. Default: a debug key.")
    ] = None,
    key_alias: Annotated[str | None, typer.Option("--key-alias", help="The key in it.")] = None,
    gradle: Annotated[
        bool,
        typer.Option("--gradle", help="Build with Gradle and the Android SDK of this machine."),
    ] = False,
    json: Json = False,
) -> None:
    """Builds a signed APK of the app with bundles in it. No Android SDK is needed.

    The key is a debug key, made on first use, unless --key names a store; its password is taken
    from EDGE_PIPELINE_KEY_PASSWORD. The first build downloads 470 MB.

    Example:  pipeline android build runs/digits/package/digits.bundle -o digits.apk
    """
    from pipeline.cli import console
    from pipeline.cli.outputs import Apk
    from pipeline.devices.android import gradle as by_gradle
    from pipeline.devices.android.build import ABIS, Plan
    from pipeline.devices.android.build import build as build_apk
    from pipeline.devices.android.contents import sizes
    from pipeline.devices.android.key import debug_key, given_key
    from pipeline.devices.android.tools import check_tools

    terminal = console.Terminal(json_only=json)
    flavor: Flavor = "pytorch" if pytorch else "plain"
    if gradle:
        by_gradle.build(tuple(bundles), out, flavor, terminal)
    else:
        check_tools()
        plan = Plan(
            bundles=tuple(bundles),
            out=out,
            abis=tuple(dict.fromkeys(abi or ABIS[:1])),
            flavor=flavor,
        )
        build_apk(plan, given_key(key, key_alias) if key else debug_key(), terminal)
    parts = sizes(out)
    if json:
        console.print_json(Apk(apk=str(out), bytes=out.stat().st_size, parts=parts))
        return
    for what, size in parts.items():
        terminal.note(f"{size / 1e6:6.2f} MB  {what}")
    terminal.show(f"APK  {out}  ({out.stat().st_size / 1e6:.1f} MB)")


@app.command()
def jvm(json: Json = False) -> None:
    """Builds the app's core for this machine's JVM: the row of `pipeline verify --with jvm`.

    Example:  pipeline android jvm && pipeline verify -c examples/digits --with jvm
    """
    from pipeline.cli import console
    from pipeline.cli.outputs import Program
    from pipeline.devices.android.jvm import build as build_core

    terminal = console.Terminal(json_only=json)
    program = build_core(terminal)
    if json:
        console.print_json(Program(program=str(program)))
    else:
        terminal.show(f"App's core  {program}")


@app.command()
def install(
    apk: Annotated[Path, typer.Argument(help="What `pipeline android build` wrote.")],
    serial: Serial = None,
    json: Json = False,
) -> None:
    """Installs the app on a connected phone, or updates it.

    Example:  pipeline android install digits.apk
    """
    from pipeline.cli import console
    from pipeline.cli.outputs import Installed
    from pipeline.devices.android import adb
    from pipeline.errors import UsageError

    if not apk.is_file():
        raise UsageError(f"There is no APK {apk}.", "pipeline android build BUNDLE makes one.")
    terminal = console.Terminal(json_only=json)
    phone = adb.find_phone(serial)
    with terminal.bar(f"installing on {phone.serial}", None):
        adb.install(phone, str(apk))
    if json:
        console.print_json(Installed(serial=phone.serial, apk=str(apk)))
    else:
        terminal.show(f"Installed on {phone.serial}: {apk}")


def _asks(name: str, summary: str, example: str, work: "Callable[[_Asked], None]") -> None:
    """A command that asks the app on a phone about a workspace's artifacts."""

    def command(
        config: ConfigFile = _HERE,
        override: Overrides = None,
        serial: Serial = None,
        engine: Engine = "cpu",
        artifact: Only = None,
        threads: Threads = 1,
        timeout: Timeout = 300,
        workspace: Where = None,
        wait: Wait = False,
        json: Json = False,
    ) -> None:
        from pipeline.config.file import load_config

        loaded = load_config(config, override or [])
        work(_Asked(loaded, workspace, engine, artifact, threads, serial, timeout, wait, json))

    command.__doc__ = f"{summary}\n\nExample:  {example}"
    app.command(name)(command)


def _verify(asked: "_Asked") -> None:
    from pipeline.cli import console, tables
    from pipeline.cli.phone_outputs import PhoneVerdict
    from pipeline.devices.android.answers import SelfCheck
    from pipeline.devices.android.rows import merge, verdict_rows
    from pipeline.errors import VerdictError
    from pipeline.workspace.results.verdict import VERDICT, Verdict, worst

    terminal = console.Terminal(json_only=asked.json)
    stage = _Stage("verify", "selfcheck", asked)
    with stage.locked():
        rows = stage.ask(terminal, SelfCheck, verdict_rows)
        before = stage.read(VERDICT, Verdict)
        verdict = before.model_copy(update={"rows": merge(before.rows, rows)})
        outcome = worst(row.verdict for row in verdict.judged)
        verdict = verdict.model_copy(update={"verdict": outcome})
        stage.write(VERDICT, verdict, {"rows": len(verdict.rows), "verdict": outcome})
    if asked.json:
        console.print_json(PhoneVerdict(rows=rows, verdict=outcome))
    else:
        terminal.show(tables.verdict_table(verdict.model_copy(update={"rows": rows})))
        terminal.show(f"Verdict  {tables.word(outcome)}")
    failed = [row for row in rows if row.verdict != "pass"]
    if failed:
        lines = [f"\n  {row.artifact} in {row.runtime}: {'; '.join(row.reasons)}" for row in failed]
        raise VerdictError(f"{len(failed)} of {len(rows)} rows of the phone fail.{''.join(lines)}")


def _bench(asked: "_Asked") -> None:
    from pipeline.cli import console, tables
    from pipeline.cli.phone_outputs import PhoneBench
    from pipeline.devices.android.answers import Benchmark
    from pipeline.devices.android.rows import bench_rows, merge
    from pipeline.workspace.results.bench import BENCH, Bench

    terminal = console.Terminal(json_only=asked.json)
    stage = _Stage("bench", "benchmark", asked)
    with stage.locked():
        rows = stage.ask(terminal, Benchmark, bench_rows)
        before = stage.read(BENCH, Bench)
        bench = before.model_copy(update={"rows": merge(before.rows, rows)})
        stage.write(BENCH, bench, {"rows": len(bench.rows)})
    if asked.json:
        console.print_json(PhoneBench(rows=rows))
    else:
        terminal.show(tables.bench_table(rows))


@dataclass(frozen=True)
class _Asked:
    """What was given to a command that asks a phone."""

    config: "Config"
    workspace: Path | None
    engine: str
    artifact: str | None
    threads: int
    serial: str | None
    timeout: float
    wait: bool
    json: bool


class _Stage:
    """A stage of a workspace that a phone's rows are added to. It must be fresh: what the phone is
    compared with is what the workspace says now."""

    def __init__(self, name: str, question: "What", asked: _Asked) -> None:
        from pipeline.devices.android.phone import Question
        from pipeline.workspace.folder import Workspace

        self.name, self.asked = name, asked
        self.question = Question(question, asked.engine, asked.artifact, asked.threads)
        root = asked.workspace or asked.config.root / "runs" / asked.config.name
        self.workspace: Workspace = Workspace(root)

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self.workspace.lock(f"pipeline android {self.name}", self.asked.wait):
            self._check_fresh()
            yield

    def ask(
        self,
        terminal: "Terminal",
        model: "type[AnyAnswer]",
        rows_of: "Callable[[AnyAnswer, list[Artifact]], list[AnyRow]]",
    ) -> "list[AnyRow]":
        """A row for each artifact that the engine can run."""
        from pipeline.devices.android import adb
        from pipeline.devices.android.phone import ask_each

        artifacts, asked = self._artifacts(), self.asked
        phone = adb.find_phone(asked.serial)
        answers = ask_each(phone, self.question, artifacts, asked.timeout, terminal, model)
        return [row for answer in answers for row in rows_of(answer, artifacts)]

    def read(self, file: str, model: "type[AnyResult]") -> "AnyResult":
        from pipeline.workspace.results.base import read_result

        return read_result(self.workspace.stage(self.name) / file, model)

    def write(self, file: str, result: "Result", summary: dict[str, Any]) -> None:
        """Into a copy of the stage, which takes its place."""
        from pipeline.workspace.results.base import write_result

        with self.workspace.amend(self.name) as draft:
            write_result(draft.folder / file, result)
            draft.summary |= summary

    def _artifacts(self) -> "list[Artifact]":
        from pipeline.workspace.artifacts import read_index

        folders = [self.workspace.stage(stage) for stage in ("export", "quantize")]
        return [artifact for folder in folders for artifact in read_index(folder)]

    def _check_fresh(self) -> None:
        from pipeline.errors import UsageError
        from pipeline.run import status

        states = {state.stage: state for state in status(self.asked.config, self.workspace)}
        if states[self.name].state != "fresh":
            raise UsageError(
                f"{self.name} is {states[self.name].state}; rows are added to a fresh one.",
                f"pipeline {self.name} makes it; package and android build bring it to the phone.",
            )


_asks(
    "verify",
    """Has the phone check every artifact against the golden samples, and adds its rows to verify.

    The app on it must hold this workspace's bundle. Exit code 1 if a row of it fails.""",
    "pipeline android verify -c examples/digits",
    _verify,
)
_asks(
    "bench",
    """Measures load time and latency on the phone, and adds its rows to bench.

    Without --artifact every one that the engine can run, each in a process of its own.""",
    "pipeline android bench -c examples/digits --engine xnnpack --threads 4",
    _bench,
)
