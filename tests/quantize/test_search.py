"""The search: what ships is inside the budget, float ships with its reason otherwise."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import UsageError
from pipeline.measure.accuracy_budget import AccuracyBudget
from pipeline.quantize.candidates import PRECISIONS, Candidate, candidates
from pipeline.quantize.make import OnnxMaker
from pipeline.quantize.recipes import Task
from pipeline.quantize.search.evaluator import Accuracy, Evaluator, Rung, Speed
from pipeline.quantize.search.goal import Goal
from pipeline.quantize.search.search import Search, _by_answers, _finalists, search
from pipeline.quantize.search.trial import Trial, TrialRunner
from pipeline.runtimes import RunnerError
from pipeline.system import machine
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import Precision
from pipeline.workspace.results.ratio import Ratio
from tests.quantize.quantize_cases import Exported, Result, batches

Project = Callable[[str], Exported]

ONNX = 'quantize.recipes=["onnx:auto"]'
SIZE = 'quantize.objective="size"'


@pytest.fixture(scope="module")
def searched(digits: Exported) -> Result:
    return digits.quantize(ONNX, SIZE)


def test_what_ships_keeps_the_metric(searched: Result) -> None:
    result = searched
    (found,) = json.loads((result.out / "quantize.json").read_text())["searches"]
    (artifact,) = result.artifacts.values()
    assert artifact.precision == "int8" and artifact.details["chosen"] == found["why"]
    (shipped,) = (t for t in found["trials"] if t["name"] == found["why"].split(" ships")[0])
    assert shipped["drop"] <= found["max_drop"]
    assert shipped["accuracy"]["samples"] == found["samples"] == 360
    assert artifact.bytes == shipped["bytes"] < found["fp32"]["bytes"]
    assert shipped["fused"]["convolutions"] == [5, 5]
    names = {trial["name"] for trial in found["trials"]}
    assert {"int8-dynamic", "int8-weights", "fp16", "int8-static U8S8 entropy"} <= names


def test_every_measured_candidate_is_a_point_of_the_report(searched: Result) -> None:
    from pipeline.workspace.results.quantize import Point

    found = json.loads((searched.out / "quantize.json").read_text())
    points = [Point(**point) for point in found["candidates"]]
    assert len(points) == len(found["searches"][0]["trials"])
    assert sum(point.chosen for point in points) == 1


def test_what_loses_is_not_shipped(project: Project) -> None:
    """Two tiny linear layers: no int8 is half as slow as calling ONNX Runtime at all, and none may
    drop by nothing."""
    result = project("mlp").quantize(ONNX, "quantize.max_drop=0.0")
    (found,) = json.loads((result.out / "quantize.json").read_text())["searches"]
    if not result.artifacts:
        assert found["why"].startswith("fp32 ships: ")
        assert found["held_back"].startswith("onnx for ")
        assert "ms" not in found["held_back"]
    else:  # this machine measured one as measurably faster
        best = next(t for t in found["trials"] if t["name"] == found["why"].split(" ships")[0])
        assert best["speed"]["ratio"]["high"] < 1


def trial(ratio: tuple[float, float, float], drop: float = 0.0, size: int = 50) -> Trial:
    speed = Speed(1.0, 1.0, Ratio(*ratio))
    accuracy = Accuracy(0.9 - drop, 40.0, 256)
    candidate = Candidate("onnx", "int8-static")
    return Trial(candidate, "x", size, accuracy=accuracy, drop=drop, speed=speed)


BUDGETS: dict[Precision, AccuracyBudget] = {
    precision: AccuracyBudget(0.01) for precision in PRECISIONS
}
GOAL = Goal(BUDGETS, "latency", float("inf"), 100, True)


def test_the_gate_wants_the_whole_interval_below_one() -> None:
    assert GOAL.gains(trial((0.5, 0.4, 0.6)), surely=True)
    assert not GOAL.gains(trial((0.9, 0.7, 1.01)), surely=True)
    assert not GOAL.gains(trial((0.985, 0.983, 0.99)), surely=True)  # less than timings can tell
    assert not GOAL.gains(trial((1.5, 1.4, 1.6)), surely=False)
    by_size = replace(GOAL, objective="size")
    assert by_size.gains(trial((1.5, 1.4, 1.6)), surely=True)
    assert not by_size.gains(trial((0.5, 0.4, 0.6), size=100), surely=True)


def test_the_gate_wants_the_drop_within_the_budget() -> None:
    assert GOAL.inside(trial((0.5, 0.4, 0.6), drop=0.01))
    assert not GOAL.inside(trial((0.5, 0.4, 0.6), drop=0.011))
    noisy = replace(trial((0.5, 0.4, 0.6)), accuracy=Accuracy(0.9, 9.0, 256))
    assert not GOAL.inside(noisy)


def task_of(exported: Exported, scratch: Path, *overrides: str) -> Task:
    from pipeline.workspace.artifacts import read_index, read_signature

    folder = exported.folder / "export"
    (source,) = (a for a in read_index(folder) if a.format == "onnx")
    scratch.mkdir(parents=True, exist_ok=True)
    with Silent().bar("", None) as bar:
        return Task(
            exported.config(*overrides),
            source,
            folder / source.file,
            read_signature(folder),
            exported.folder / "train",
            scratch,
            bar,
            machine.made_for(),
        )


def test_of_those_as_fast_the_smaller_file_and_the_better_answers_win(
    digits: Exported, tmp_path: Path
) -> None:
    task = task_of(digits, tmp_path / "scratch")
    evaluator = Evaluator(task.config, task.signature, task.source, task.path, tmp_path)
    run = Search(TrialRunner(OnnxMaker(task), evaluator, tmp_path, True), GOAL, task.bar)
    fast, large = trial((0.50, 0.48, 0.52), size=60), trial((0.49, 0.47, 0.51), size=70)
    exact = replace(fast, accuracy=Accuracy(0.9, 50.0, 256), file="exact")
    exact_large = replace(large, accuracy=Accuracy(0.9, 60.0, 256), file="exact, large")
    lossy = trial((0.48, 0.46, 0.50), drop=0.005, size=50)
    slow = trial((0.80, 0.78, 0.82), size=40)
    assert _by_answers(run, [lossy, large, exact_large, fast, exact])[0] is exact
    finalists = _finalists(run, [slow, lossy, large, fast, exact])
    assert finalists == [exact, fast, lossy]


def test_an_unsure_ratio_is_measured_longer(
    digits: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(digits, tmp_path / "scratch")
    evaluator = Evaluator(task.config, task.signature, task.source, task.path, tmp_path)
    rounds: list[int] = []

    def unsure(ours: list[list[float]], theirs: list[list[float]]) -> Ratio:
        rounds.append(len(ours))
        return Ratio(0.97, 0.9, 1.1) if len(ours) < 8 else Ratio(0.97, 0.96, 0.979)

    monkeypatch.setattr("pipeline.quantize.search.evaluator.ratio_of_medians", unsure)
    for most, wanted in ((0, [2]), (5, [2, 4]), (64, [2, 4, 8])):
        rounds.clear()
        evaluator.speed(task.path, "any", Rung(1, 2, 0.02, most))
        assert rounds == wanted


def test_time_up_in_mid_search_takes_the_best_so_far(digits: Exported, tmp_path: Path) -> None:
    task = task_of(digits, tmp_path / "scratch")
    evaluator = Evaluator(task.config, task.signature, task.source, task.path, tmp_path)
    goal = replace(GOAL, objective="size", fp32_bytes=task.source.bytes)
    made = 0

    class Slow(TrialRunner):
        def trial(self, candidate: Candidate, rung: Rung) -> Trial:
            nonlocal made
            made += 1
            if made == 2:
                run.goal = replace(goal, ends=time.monotonic() - 1)
            return super().trial(candidate, rung)

    run = Search(Slow(OnnxMaker(task), evaluator, tmp_path, True), goal, task.bar)
    given = candidates("onnx", "x86_64", ["convolutions", "linear layers"])
    search(run, given, [])
    assert made == 2 and run.timed_out == given[2].name
    assert run.best is not None and run.best.candidate in given[:2]
    assert run.best.accuracy is not None and run.best.accuracy.samples == 360


def test_an_interrupted_search_goes_on(digits: Exported, tmp_path: Path) -> None:
    """What was made and scored is not made again."""
    task = task_of(digits, tmp_path / "scratch")
    evaluator = Evaluator(task.config, task.signature, task.source, task.path, tmp_path)
    candidate = candidates("onnx", "x86_64", ["convolutions"])[0]
    rung = Rung(64, 2, 0.0)
    first = TrialRunner(OnnxMaker(task), evaluator, tmp_path, True).trial(candidate, rung)

    class Never:
        def prepare(self) -> None: ...
        def make(self, candidate: Candidate) -> None:
            raise AssertionError("made again")

    again = TrialRunner(Never(), evaluator, tmp_path, True).trial(candidate, rung)  # type: ignore[arg-type]
    assert again == first and not first.failed


def test_a_mistake_of_ours_is_no_candidates_fault(
    digits: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a library raises is that candidate's failure; what our own code raises ends the run."""

    def mistaken(path: Path) -> None:
        raise KeyError(8)

    monkeypatch.setattr("pipeline.quantize.search.trial.fused", mistaken)
    with pytest.raises(KeyError):
        digits.quantize(ONNX, SIZE)
    monkeypatch.undo()

    def refusing(self: object, inputs: object) -> None:
        raise RunnerError("no such kernel")

    monkeypatch.setattr("pipeline.runtimes.onnxruntime.OnnxRuntimeRunner.run", refusing)
    with pytest.raises(UsageError, match=r"^no such kernel$"):
        digits.quantize(ONNX, SIZE)


def test_without_time_float_ships_and_says_so(digits: Exported) -> None:
    result = digits.quantize(ONNX, "quantize.budget_minutes=1e-6")
    assert not result.artifacts
    assert "Time was up" in " ".join(result.report.notes)


@pytest.mark.full
def test_artifacts_for_two_kinds_of_cpu(digits: Exported) -> None:
    auto = 'quantize.recipes=["auto"]'
    result = digits.quantize(auto, SIZE, 'quantize.targets=["x86_64","arm64"]')
    kinds = {artifact.id: artifact.made_for for artifact in result.artifacts.values()}
    for format in ("onnx", "torchscript"):
        assert kinds[f"{format}-int8-static"] == "x86_64"
        assert kinds[f"{format}-int8-static-arm64"] == "arm64"
    details = {id: a.details for id, a in result.artifacts.items()}
    assert details["torchscript-int8-static-arm64"]["engine"] == "qnnpack"
    assert details["onnx-int8-static-arm64"]["activations"] == "int8"
    assert "not measured" in details["onnx-int8-static-arm64"]["chosen"]


def test_an_engine_for_another_cpu_ships_float(digits: Exported) -> None:
    other = "qnnpack" if machine.made_for() == "x86_64" else "x86"
    result = digits.quantize('quantize.recipes=["torchscript:auto"]', f"quantize.engine={other}")
    assert not result.artifacts
    assert f'quantize.engine = "{other}" is for' in " ".join(result.report.notes)


def test_a_model_without_layers_ships_float(project: Project) -> None:
    result = project("nothing").quantize('quantize.recipes=["auto"]')
    assert not result.artifacts
    assert any("fp32 ships" in note for note in result.report.notes)


@pytest.mark.full
def test_torchscript_is_searched_too(digits: Exported) -> None:
    result = digits.quantize('quantize.recipes=["torchscript:auto"]', SIZE)
    (artifact,) = result.artifacts.values()
    assert (artifact.format, artifact.precision) == ("torchscript", "int8")


def test_a_branch_on_values_leaves_dynamic_for_torchscript(project: Project) -> None:
    result = project("branch").quantize('quantize.recipes=["auto"]', SIZE)
    (found,) = json.loads((result.out / "quantize.json").read_text())["searches"]
    trials = {trial["name"]: trial for trial in found["trials"]}
    assert "torch.fx" in trials["int8-static histogram"]["failed"]
    assert trials["int8-dynamic"]["failed"] is None


def test_outlier_channels_come_back(hard: Exported) -> None:
    """Plain static int8 loses more than 5 points; the search ships int8 within 1."""
    result = hard.quantize(ONNX, SIZE)
    (found,) = json.loads((result.out / "quantize.json").read_text())["searches"]
    plain = next(t for t in found["trials"] if t["name"] == "int8-static U8S8 minmax")
    assert plain["drop"] > 0.05
    assert len(result.artifacts) == 1
    best = next(t for t in found["trials"] if t["name"] == found["why"].split(" ships")[0])
    assert best["drop"] <= 0.01


@pytest.mark.parametrize("transform", ["smoothed", "equalized"])
def test_rewritten_models_answer_the_same(
    digits: Exported, project: Project, tmp_path: Path, transform: str
) -> None:
    import onnxruntime as ort

    changed = 0
    for name, exported in (("digits", digits), ("attention", project("attention"))):
        task = task_of(exported, tmp_path / name)
        maker = OnnxMaker(task)
        files = [maker.calibrate(kind).model.SerializeToString() for kind in ("", transform)]  # type: ignore[arg-type]
        changed += files[0] != files[1]
        batch = next(batches(task.config, task.signature, "validation", 8, 8))
        feeds = dict(zip([spec.name for spec in task.signature.inputs], batch, strict=True))
        one, other = (ort.InferenceSession(file).run(None, feeds)[0] for file in files)
        assert np.abs(one - other).max() < 1e-5, name
    assert changed == 2 if transform == "smoothed" else changed >= 1


def test_bias_correction_moves_the_mean_back(digits: Exported, tmp_path: Path) -> None:
    """Over the calibration samples the mean error of each output channel becomes smaller."""
    from onnx import numpy_helper

    from pipeline.quantize.onnx.bias import correct_biases, shift
    from pipeline.quantize.onnx.weights import layers_of, rounded
    from pipeline.quantize.scheme import StaticScheme

    task = task_of(digits, tmp_path)
    calibrated = OnnxMaker(task).calibrate()
    layers = layers_of(calibrated.model.graph)
    linear = next(layer for layer in layers.values() if layer.node.op_type == "Gemm")
    mean = calibrated.observed.channels[linear.node.input[0]].mean
    scheme = StaticScheme(bias=True)
    moved = shift(linear, mean, scheme)
    assert moved is not None
    error = (rounded(linear, scheme) - linear.array) @ mean
    np.testing.assert_allclose(moved, error, atol=1e-6)
    before = numpy_helper.to_array(linear.bias).copy()  # type: ignore[arg-type]
    correct_biases(calibrated.model.graph, set(calibrated.nodes), calibrated.observed, scheme)
    after = numpy_helper.to_array(linear.bias)  # type: ignore[arg-type]
    np.testing.assert_allclose(after, before - moved, atol=1e-6)


def test_explain_ranks_the_layers_with_outliers_first(hard: Exported, tmp_path: Path) -> None:
    """And keeping them float gains most of what all of int8 loses."""
    from pipeline.quantize.explain import explain

    inputs = {name: hard.folder / name for name in ("train", "export")}
    config = hard.config("quantize.calibration_samples=32")
    found = {one.format: one for one in explain(config, inputs, tmp_path, Silent())}
    for format in ("onnx", "torchscript"):
        # The layer that reads the channels; in ONNX the one that makes them, too.
        ranking = found[format].sensitivity
        assert "model.7" in [one.module for one in ranking[:2]], format
        worst, best, whole = ranking[0].sqnr_db, ranking[-1].sqnr_db, found[format].all_sqnr_db
        assert worst is not None and best is not None and worst < best - 6
        gained = [step.sqnr_db for step in found[format].without if step.sqnr_db is not None]
        assert whole is not None and max(gained) > whole + 3, format


def test_torchscript_keeps_layers_float_until_it_holds(hard: Exported) -> None:
    result = hard.quantize('quantize.recipes=["torchscript:auto"]', SIZE)
    (found,) = json.loads((result.out / "quantize.json").read_text())["searches"]
    plain = next(t for t in found["trials"] if t["name"] == "int8-static minmax")
    best = next(t for t in found["trials"] if t["name"] == found["why"].split(" ships")[0])
    assert plain["drop"] > 0.05 and best["drop"] <= 0.01
    static = best["candidate"]["recipe"] == "int8-static"
    assert bool(best["candidate"]["kept_float"]) == static
    assert found["sensitivity"][0]["module"] == "model.7"


@pytest.mark.full
def test_one_constant_sample_is_calibrated_with_a_warning(digits: Exported, tmp_path: Path) -> None:
    """Ranges of one black picture hold nothing else: the search sees it in the metric."""
    folder = tmp_path / "constant"
    shutil.copytree(digits.folder, folder, ignore=shutil.ignore_patterns("out *"))
    text = (folder / "digits.py").read_text()
    black = (
        '\n    one = Digits(pictures[:1] * 0, scans.target[:1])\n    return {"calibration": one,'
    )
    (folder / "digits.py").write_text(text.replace("\n    return {", black, 1))
    result = Exported(folder, digits.overrides).quantize(ONNX, SIZE)
    assert any("all the same" in text for text in result.report.warnings)
    (found,) = json.loads((result.out / "quantize.json").read_text())["searches"]
    static = [t for t in found["trials"] if t["name"].startswith("int8-static U8S8 minmax")]
    assert all(t["drop"] is None or t["drop"] > 0.05 for t in static)
    shipped = [t for t in found["trials"] if t["name"] == found["why"].split(" ships")[0]]
    assert all(t["drop"] <= found["max_drop"] for t in shipped)
