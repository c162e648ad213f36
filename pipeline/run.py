"""The stages in their order: what each depends on, and running those that are not fresh."""

import importlib
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pipeline
from pipeline.config import NO_WEIGHT_DEPENDS_ON, Config
from pipeline.errors import VerdictError
from pipeline.project.sources import packages_of, source_hashes
from pipeline.runner.sources import Target
from pipeline.system.imports import reached
from pipeline.system.packages import version_of
from pipeline.system.progress import Reporter, Silent
from pipeline.workspace.artifacts import sha256_of
from pipeline.workspace.folder import StageStatus, Workspace, digest_of, key_of
from pipeline.workspace.results.base import read_if_there
from pipeline.workspace.results.record import Ingredients
from pipeline.workspace.stage import STAGES, Job, Summary

if TYPE_CHECKING:
    from pipeline.workspace.results.verdict import Verdict

HOME = Path(pipeline.__file__).parent
MODEL = ("model", "data", "input", "output")  # the sections that say what is computed
ALL = ("*",)


@dataclass(frozen=True)
class Plan:
    """What a stage depends on.

    `needs` names earlier stages and the files of theirs that matter, `sections` the parts of the
    configuration, `packages` the distributions whose version can change the result. `machine`
    names the facts of `machine.describe` that can, `runner` says that the C++ runner has a part.
    """

    stage: str
    needs: Mapping[str, tuple[str, ...]]
    sections: tuple[str, ...]
    packages: tuple[str, ...]
    machine: tuple[str, ...] = ()
    runner: bool = False


WEIGHTS = {"train": ("weights.safetensors",)}
ARTIFACTS = {"export": ALL, "quantize": ALL}
ENGINES = ("torch", "onnx", "onnxruntime")

PLANS = (
    Plan("train", {}, (*MODEL, "train"), ("torch", "torchmetrics")),
    Plan("export", WEIGHTS, (*MODEL, "export"), ("torch", "onnx", "onnxscript")),
    Plan(
        "quantize",
        WEIGHTS | {"export": ALL},
        (*MODEL, "quantize"),
        ENGINES,
        ("arch", "flags"),
    ),
    Plan("verify", WEIGHTS | ARTIFACTS, (*MODEL, "verify"), ENGINES, ("arch", "flags"), True),
    Plan(
        "bench",
        WEIGHTS | ARTIFACTS,
        (*MODEL, "bench"),
        ENGINES,
        ("cpu", "arch", "flags", "cores"),
        True,
    ),
    Plan(
        "package",
        WEIGHTS | ARTIFACTS | {"verify": ALL, "bench": ALL},
        ("name", "version", *MODEL, "package"),
        ENGINES,
    ),
)
assert tuple(plan.stage for plan in PLANS) == STAGES


@dataclass(frozen=True)
class StageResult:
    """A stage after a run: whether it was made now, and what it says of itself."""

    stage: str
    made: bool
    why: tuple[str, ...]
    summary: Summary
    seconds: float


def status(config: Config, workspace: Workspace | None = None) -> list[StageStatus]:
    """The state of every stage: fresh, stale, missing or damaged, and why.

    A stage behind one that is not fresh is stale. Nothing is run and nothing written.
    """
    workspace = workspace or workspace_of(config)
    common = _common(config)
    states: dict[str, StageStatus] = {}
    for plan in PLANS:
        waiting = [name for name in plan.needs if states[name].state != "fresh"]
        if waiting and workspace.record(plan.stage) is not None:
            why = tuple(f"{name} has to run first" for name in waiting)
            states[plan.stage] = StageStatus(plan.stage, "stale", why, workspace.record(plan.stage))
        elif waiting:
            states[plan.stage] = StageStatus(plan.stage, "missing")
        else:
            made_of = _ingredients(plan, config, common, states)
            states[plan.stage] = workspace.status(plan.stage, made_of)
    return list(states.values())


def run(
    config: Config,
    workspace: Workspace | None = None,
    report: Reporter | None = None,
    until: str = STAGES[-1],
    force: Collection[str] = (),
) -> list[StageResult]:
    """Brings every stage up to `until` up to date, and says of each whether it was made.

    `workspace` is `runs/NAME` beside the configuration where none is given, and is locked
    meanwhile; `report` hears of progress; `force` names stages to make again although they are
    fresh. Raises VerdictError behind a verify stage that failed, or is inconclusive where
    `[verify] strict`, unless `[package] allow_failed`; UsageError, SetupError or DamagedError
    for what a user or a machine can cure.
    """
    workspace = workspace or workspace_of(config)
    with workspace.lock("pipeline.run"):
        return run_stages(config, workspace, report or Silent(), until, force)


def workspace_of(config: Config) -> Workspace:
    """`runs/NAME` beside the configuration."""
    return Workspace(config.root / "runs" / config.name)


def run_stages(
    config: Config,
    workspace: Workspace,
    report: Reporter,
    until: str = STAGES[-1],
    force: Collection[str] = (),
    finished: Callable[[StageResult], None] = lambda done: None,
) -> list[StageResult]:
    """As `run`, for a caller that holds the workspace's lock; `finished` is called after each."""
    plans = PLANS[: STAGES.index(until) + 1]
    _check_runtimes(config, {plan.stage for plan in plans})
    common = _common(config)
    states: dict[str, StageStatus] = {}
    results = []
    for plan in plans:
        made_of = _ingredients(plan, config, common, states)
        state = workspace.status(plan.stage, made_of)
        if state.state == "damaged":
            report.warn(f"{plan.stage} is made again: {'; '.join(state.why)}.")
        made = state.state != "fresh" or plan.stage in force
        if made:
            _make(plan, config, workspace, made_of, report)
        states[plan.stage] = workspace.status(plan.stage, made_of)
        record = states[plan.stage].record
        assert record is not None
        done = StageResult(plan.stage, made, state.why, record.summary, record.seconds)
        results.append(done)
        finished(done)
        if plan.stage == "verify" and not config.package.allow_failed:
            _refuse_a_failed_verdict(workspace, config.verify.strict)
    return results


def inputs_of(workspace: Workspace, stage: str) -> Mapping[str, Path]:
    """The folders of the earlier stages that `stage` reads."""
    (plan,) = (plan for plan in PLANS if plan.stage == stage)
    return {name: workspace.stage(name) for name in plan.needs}


def verdict_of(workspace: Workspace) -> "Verdict | None":
    """`verify/verdict.json`, None before the first verification."""
    from pipeline.workspace.results.verdict import VERDICT, Verdict  # not for `pipeline status`

    return read_if_there(workspace.stage("verify") / VERDICT, Verdict)


def _check_runtimes(config: Config, stages: Collection[str]) -> None:
    """Before hours of training: can the runtimes that are named for later stages run here?"""
    verify, bench = config.verify, config.bench
    for stage, names, emulate in (
        ("verify", verify.runtimes, verify.emulate),
        ("bench", bench.runtimes, ()),
    ):
        if stage in stages and (names or emulate):
            from pipeline.runtimes import usable

            for format in config.export.formats:
                usable(names, format, emulate)
    if "bench" in stages and bench.against:
        from pipeline.bench.peers import peers

        peers(bench.against)


def _make(
    plan: Plan, config: Config, workspace: Workspace, made_of: Ingredients, report: Reporter
) -> None:
    module = importlib.import_module(f"pipeline.{plan.stage}")
    scratch = workspace.scratch(plan.stage, key_of(made_of))
    with workspace.publish(plan.stage) as draft:
        scratch.mkdir(parents=True, exist_ok=True)
        inputs = {name: workspace.stage(name) for name in plan.needs}
        draft.summary = module.run(Job(config, inputs, draft.folder, scratch, report))
        draft.ingredients = made_of
    workspace.drop_scratch(plan.stage)


def _refuse_a_failed_verdict(workspace: Workspace, strict: bool) -> None:
    verdict = verdict_of(workspace)
    assert verdict is not None  # verify has just run, or is fresh
    outcome, rows = verdict.verdict, verdict.judged
    if outcome == "pass" or (outcome == "inconclusive" and not strict):
        return
    failed = [row for row in rows if row.verdict == outcome]
    lines = [f"\n  {row.artifact} in {row.where}: {'; '.join(row.why)}" for row in failed]
    lacking = "do not answer as the reference does" if outcome == "fail" else "are not settled"
    raise VerdictError(
        f"The verdict is {outcome}: {len(failed)} of {len(rows)} rows {lacking}.{''.join(lines)}",
        "Leave the recipe out of [quantize] recipes or widen [verify.tolerances] on purpose; "
        "pipeline package --allow-failed packs it all the same and writes that into the manifest.",
    )


def _common(config: Config) -> Ingredients:
    """What every stage depends on, worked out once."""
    return {"sources": source_hashes(config), "versions": _versions(packages_of(config))}


def _ingredients(
    plan: Plan, config: Config, common: Ingredients, states: Mapping[str, StageStatus]
) -> Ingredients:
    given = config.model_dump(mode="json", exclude={"train": NO_WEIGHT_DEPENDS_ON})
    inputs = {}
    for name, patterns in plan.needs.items():
        record = states[name].record
        assert record is not None
        inputs[name] = digest_of(record, patterns)
    labels = config.labels() if isinstance(config.output.labels, str) else None
    return {
        "config": {section: given[section] for section in plan.sections} | _elsewhere(plan, config),
        "labels": labels,
        "inputs": inputs,
        "sources": common["sources"],
        "versions": common["versions"] | _versions(plan.packages),
        "code": _code(plan.stage),
        "machine": _machine(plan.machine),
        "runner": _runner(config.verify.emulate if plan.stage == "verify" else ())
        if plan.runner
        else None,
    }


def _elsewhere(plan: Plan, config: Config) -> dict[str, Any]:
    """What a stage takes of another's section: quantization-aware epochs are a matter of training,
    and the accuracy budget is one for quantize and verify."""
    if plan.stage == "train" and config.quantize.qat_epochs:
        return {"qat_epochs": config.quantize.qat_epochs}
    if plan.stage == "verify" and config.quantize.max_drop is not None:
        return {"max_drop": config.quantize.max_drop}
    if plan.stage == "quantize":
        tolerances = config.verify.model_dump(mode="json", include={"tolerances", "outputs"})
        return {"budgets": tolerances} if any(tolerances.values()) else {}
    return {}


def _versions(packages: Collection[str]) -> dict[str, str]:
    return {name: version_of(name) for name in packages}


def _machine(facts: tuple[str, ...]) -> dict[str, Any]:
    if not facts:
        return {}
    from pipeline.system.machine import describe  # reads /proc: only where a stage depends on it

    described = describe()
    return {name: getattr(described, name) for name in facts}


def _runner(emulate: Sequence[str]) -> str | None:
    """What the C++ runner was built of, where it can be used: it brings rows of its own."""
    from pipeline.runner import program

    targets: tuple[Target, ...] = ("host", "arm64") if "arm64" in emulate else ("host",)
    stamps = [
        program.stamp(target) or "" for target in targets if not program.why_not(None, target)
    ]
    if "jvm" in emulate:
        from pipeline.devices.android import jvm

        stamps += [] if jvm.why_not() else [jvm.stamp()]
    return " ".join(stamps) or None


def own_code(stage: str) -> dict[str, str]:
    """SHA-256 by path of this program's files that the stage runs: what its imports reach, and
    the data beside those modules that they name. The public names of `pipeline` reach everything,
    and no stage uses them."""
    public = HOME / "__init__.py"
    modules = reached([HOME / stage / "__init__.py"], HOME.parent, named=True, stop=[public])
    modules = {path for path in modules if path.is_relative_to(HOME)} - {public}
    named = {path for module in modules for path in _data_of(module)}
    return {path.relative_to(HOME).as_posix(): sha256_of(path) for path in modules | named}


def _data_of(module: Path) -> list[Path]:
    """The files beside a module, not Python, whose name stands in it."""
    beside = [path for path in module.parent.iterdir() if path.is_file() and path.suffix != ".py"]
    text = module.read_text(encoding="utf-8") if beside else ""
    return [path for path in beside if path.name in text]


def _code(stage: str) -> str:
    """This program's version, and a hash over its files that the stage runs."""
    digest = key_of(own_code(stage))[:12]
    return f"{pipeline.__version__}+{digest} on Python {platform.python_version()}"
