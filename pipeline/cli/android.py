"""The commands `pipeline android ...`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import ConfigFile, Json, Overrides, Wait, Where

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.devices.android.phone import What
    from pipeline.devices.android.sources import Flavor

app = typer.Typer(
    no_args_is_help=True,
    help="The Android app around a bundle: built without an SDK, and asked on a phone over adb.",
)

Serial = Annotated[
    str | None, typer.Option("--serial", help="The device, where several are connected.")
]
Engine = Annotated[str, typer.Option("--engine", help="cpu, xnnpack, nnapi or pytorch.")]
Only = Annotated[str | None, typer.Option("--artifact", metavar="ID", help="This artifact alone.")]
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
        bool, typer.Option("--gradle", help="By Gradle and the Android SDK that is here.")
    ] = False,
    json: Json = False,
) -> None:
    """Builds a signed APK of the app with bundles in it. No Android SDK is needed.

    The key is a debug key, made on first use, unless --key names a store; its password is taken
    from EDGE_PIPELINE_KEY_PASSWORD. The first build downloads 470 MB.

    Example:  pipeline android build runs/digits/package/digits.bundle -o digits.apk
    """
    from pipeline.cli import console
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
        console.print_json({"apk": str(out), "bytes": out.stat().st_size, "parts": parts})
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
    from pipeline.devices.android.jvm import build as build_core

    terminal = console.Terminal(json_only=json)
    program = build_core(terminal)
    if json:
        console.print_json({"program": str(program)})
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
    from pipeline.devices.android import adb
    from pipeline.errors import UsageError

    if not apk.is_file():
        raise UsageError(f"There is no APK {apk}.", "pipeline android build BUNDLE makes one.")
    terminal = console.Terminal(json_only=json)
    phone = adb.find_phone(serial)
    with terminal.bar(f"installing on {phone.serial}", None):
        adb.install(phone, str(apk))
    if json:
        console.print_json({"serial": phone.serial, "apk": str(apk)})
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
    from pipeline.devices.android.rows import merge, verdict_rows
    from pipeline.errors import VerdictError
    from pipeline.verify.verdict import verdict as worst

    def add(verdict: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        verdict["rows"] = merge(verdict["rows"], rows)
        verdict["verdict"] = worst(verdict["rows"])

    terminal = console.Terminal(json_only=asked.json)
    stage = _Stage("verify", "selfcheck", "verdict.json", asked)
    new, verdict = stage.ask(terminal, verdict_rows, add)
    if asked.json:
        console.print_json({"rows": new, "verdict": verdict["verdict"]})
    else:
        terminal.show(tables.verdict_table({**verdict, "rows": new}))
        terminal.show(f"Verdict  {tables.word(verdict['verdict'])}")
    failed = [row for row in new if row["verdict"] != "pass"]
    if failed:
        said = "".join(
            f"\n  {row['artifact']} in {row['runtime']}: {'; '.join(row['reasons'])}"
            for row in failed
        )
        raise VerdictError(f"{len(failed)} of {len(new)} rows of the phone fail.{said}")


def _bench(asked: "_Asked") -> None:
    from pipeline.cli import console, tables
    from pipeline.devices.android.rows import bench_rows, merge

    def add(bench: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        bench["rows"] = merge(bench["rows"], rows)

    terminal = console.Terminal(json_only=asked.json)
    new, found = _Stage("bench", "benchmark", "bench.json", asked).ask(terminal, bench_rows, add)
    if asked.json:
        console.print_json({"rows": new})
    else:
        terminal.show(tables.bench_table({**found, "rows": new}))


Rows = list[dict[str, Any]]


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

    def __init__(self, name: str, question: "What", file: str, asked: _Asked) -> None:
        from pipeline.devices.android.phone import Question
        from pipeline.workspace.folder import Workspace

        self.name, self.file, self.asked = name, file, asked
        self.question = Question(question, asked.engine, asked.artifact, asked.threads)
        root = asked.workspace or asked.config.root / "runs" / asked.config.name
        self.workspace: Workspace = Workspace(root)

    def ask(
        self,
        terminal: Any,
        rows_of: Callable[[Any, Any], Rows],
        add: Callable[[dict[str, Any], Rows], None],
    ) -> tuple[Rows, dict[str, Any]]:
        """The new rows, and the whole file with them."""
        from pipeline.devices.android import adb
        from pipeline.devices.android.phone import ask_each
        from pipeline.workspace.artifacts import read_json, write_json

        with self.workspace.lock(f"pipeline android {self.name}", self.asked.wait):
            self._check_fresh()
            artifacts = self._artifacts()
            phone = adb.find_phone(self.asked.serial)
            new: Rows = []
            for answer in ask_each(phone, self.question, artifacts, self.asked.timeout, terminal):
                new += rows_of(answer, artifacts)
            with self.workspace.amend(self.name) as draft:
                found: dict[str, Any] = read_json(draft.folder / self.file)
                add(found, new)
                write_json(draft.folder / self.file, found)
                draft.summary["rows"] = len(found["rows"])
                if "verdict" in found:
                    draft.summary["verdict"] = found["verdict"]
            return new, found

    def _artifacts(self) -> Any:
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
