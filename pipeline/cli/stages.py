"""A command on a workspace: runs the stages it needs and says what came out."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.cli.console import Terminal
    from pipeline.cli.outputs import Run
    from pipeline.config import Config
    from pipeline.run import StageResult
    from pipeline.workspace.folder import Workspace
    from pipeline.workspace.results.verdict import Verdict


class Work:
    """What every command on a workspace needs."""

    def __init__(self, config: "Config", workspace: "Workspace", json: bool) -> None:
        from pipeline.cli.console import Terminal

        self.config = config
        self.workspace = workspace
        self.json = json
        self.terminal: Terminal = Terminal(json_only=json)


def work_on(
    file: Path,
    override: list[str] | None,
    where: Path | None,
    json: bool,
    allow_failed: bool = False,
) -> Work:
    """Reads the configuration. Raises UsageError for what is wrong in it."""
    from pipeline.config.file import load_config
    from pipeline.run import workspace_of
    from pipeline.workspace.folder import Workspace

    overrides = [*(override or []), *(["package.allow_failed=true"] if allow_failed else [])]
    config = load_config(file, overrides)
    return Work(config, Workspace(where) if where else workspace_of(config), json)


def run_stages(until: str, work: Work, force: bool, wait: bool, whole: bool = False) -> None:
    """Runs the stages up to `until`; `whole` is `pipeline run`, whose --force makes all again."""
    from pipeline.run import run_stages as make
    from pipeline.workspace.stage import STAGES

    forced = (STAGES if whole else (until,)) if force else ()
    done: list[StageResult] = []

    def finished(stage: "StageResult") -> None:
        done.append(stage)
        _say_stage(work.terminal, stage, work.workspace, show=whole or stage.stage == until)

    with work.workspace.lock(f"pipeline {'run' if whole else until}", wait):
        try:
            make(work.config, work.workspace, work.terminal, until, forced, finished)
        finally:
            page = (
                _report(work) if done and done[-1].stage in ("verify", "bench", "package") else None
            )
            if (done and until == done[-1].stage) or page:
                _close(work, done, page)


def _say_stage(
    terminal: "Terminal", done: "StageResult", workspace: "Workspace", show: bool
) -> None:
    from pipeline.cli import tables
    from pipeline.workspace.results.base import read_result

    took = f"{done.seconds:.1f} s" if done.made else "fresh"
    headline = done.summary.get("headline", "")
    terminal.show(f"[bold]{done.stage}[/] [dim]({took})[/] {headline}".rstrip())
    if show and done.stage == "verify":
        from pipeline.workspace.results.verdict import VERDICT, Verdict

        verdict = read_result(workspace.stage("verify") / VERDICT, Verdict)
        terminal.show(tables.verdict_table(verdict))
    if show and done.stage == "bench":
        from pipeline.workspace.results.bench import BENCH, Bench

        bench = read_result(workspace.stage("bench") / BENCH, Bench)
        terminal.show(tables.bench_table(bench.rows))


def _report(work: Work) -> Path:
    from pipeline.report import write_report

    return write_report(work.config, work.workspace)


def _close(work: Work, done: "list[StageResult]", page: Path | None) -> None:
    """Says what came out and where it lies."""
    from pipeline.cli import console, tables
    from pipeline.run import verdict_of

    stages = {stage.stage for stage in done}
    verdict = verdict_of(work.workspace) if "verify" in stages else None
    bundle = work.workspace.stage("package") / f"{work.config.name}.bundle"
    packed = bundle if "package" in stages else None
    if work.json:
        console.print_json(_result(work, done, verdict, packed, page))
        return
    if all(not stage.made for stage in done):
        work.terminal.show("[green]Everything is fresh: nothing to do.[/]")
    if verdict:
        work.terminal.show(f"Verdict  {tables.word(verdict.verdict)}")
    if packed:
        work.terminal.show(f"Bundle   {packed}")
    if page:
        work.terminal.show(f"Report   {page}")


def _result(
    work: Work,
    done: "list[StageResult]",
    verdict: "Verdict | None",
    bundle: Path | None,
    page: Path | None,
) -> "Run":
    from pipeline.cli.outputs import Run, StageRun

    return Run(
        workspace=str(work.workspace.root),
        stages=[
            StageRun(
                stage=stage.stage,
                made=stage.made,
                why=list(stage.why),
                seconds=stage.seconds,
                summary=stage.summary,
            )
            for stage in done
        ],
        verdict=verdict.verdict if verdict else None,
        bundle=str(bundle) if bundle else None,
        report=str(page) if page else None,
    )
