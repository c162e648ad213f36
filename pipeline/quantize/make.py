"""From a candidate to its file. What candidates share is done once: folding, calibration."""

from dataclasses import replace
from typing import Any, Protocol

from pipeline.errors import UsageError
from pipeline.project.library import RefusedError
from pipeline.quantize.calibration import calibration_batches
from pipeline.quantize.candidates import Candidate, Transform
from pipeline.quantize.recipes import Quantized, Recipe, Task, recipe_named


class Maker(Protocol):
    """Makes the candidates of one format. What a recipe raises goes through."""

    def prepare(self) -> None:
        """What is to be done once, for static candidates. Raises UsageError for the samples."""

    def make(self, candidate: Candidate) -> Quantized: ...


class OnnxMaker:
    """Keeps the calibrated model of each transform: what flows in it on the calibration samples."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._calibrated: dict[Transform, Any] = {}
        self._unfit: UsageError | None = None  # why no static candidate can be made

    def prepare(self) -> None:
        """Runs the calibration samples, if the file can be quantized statically at all. Raises
        UsageError for samples that the model does not take or answers with NaN."""
        from pipeline.quantize.onnx.qdq import calibrate, folded

        try:
            model, note = folded(self.task)
        except UsageError as error:
            self._unfit = error
            return
        try:
            self._calibrated[""] = calibrate(self.task, model, note)
        except RefusedError as error:  # samples that do not fit are no candidate's fault
            self._unfit = error

    def make(self, candidate: Candidate) -> Quantized:
        recipe, scheme = recipe_of(self.task, candidate), candidate.scheme
        if scheme is None:
            result: Quantized = recipe.function(excluding(self.task, candidate.kept_float))
            return result
        from pipeline.formats.onnx.write import onnx_bytes
        from pipeline.quantize.onnx.qdq import details_of

        calibrated, patterns = (
            self.calibrate(candidate.transform),
            self.task.config.quantize.exclude,
        )
        model = recipe.function(calibrated, scheme, patterns, candidate.kept_float)
        details = {**details_of(scheme, model, calibrated.note), "made": candidate.name}
        what = f"{self.task.source.id} as {candidate.name}"
        return Quantized(onnx_bytes(model, what), candidate.made_for, details)

    def calibrate(self, transform: Transform = "") -> Any:
        """The `onnx_qdq.CalibratedModel` of a transform, calibrated when it is first asked for."""
        if self._unfit is not None:
            raise self._unfit
        if "" not in self._calibrated:
            self.prepare()
            return self.calibrate(transform)
        if transform not in self._calibrated:
            from pipeline.quantize.onnx.qdq import calibrate
            from pipeline.quantize.onnx.rescale import transformed

            plain = self._calibrated[""]
            model = transformed(plain, transform)
            self._calibrated[transform] = calibrate(self.task, model, plain.note)
        return self._calibrated[transform]


class TorchMaker:
    """Recipes on the user's module; there is nothing to share but the module's own loading."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def prepare(self) -> None:
        for _ in calibration_batches(self.task):  # checks them
            pass

    def make(self, candidate: Candidate) -> Quantized:
        from pipeline.quantize.torchscript.trace import ENGINE_CPUS

        engine, target = self.task.config.quantize.engine, self.task.target
        if not candidate.named and engine != "auto" and ENGINE_CPUS[engine] != target:
            raise UsageError(
                f'quantize.engine = "{engine}" is for {ENGINE_CPUS[engine]}, not for {target}.',
                'Set quantize.engine = "auto", which takes what suits each of quantize.targets.',
            )
        task = replace(excluding(self.task, candidate.kept_float), observer=candidate.observer)
        result: Quantized = recipe_of(task, candidate).function(task)
        return result


def maker_of(task: Task) -> Maker:
    return OnnxMaker(task) if task.source.format == "onnx" else TorchMaker(task)


def excluding(task: Task, names: tuple[str, ...]) -> Task:
    """The task with further layers kept float."""
    if not names:
        return task
    # Names of nodes may hold what a pattern takes for a character class.
    literal = tuple(name.replace("[", "[[]") for name in names)
    settings = task.config.quantize
    settings = settings.model_copy(update={"exclude": (*settings.exclude, *literal)})
    return replace(task, config=task.config.model_copy(update={"quantize": settings}))


def recipe_of(task: Task, candidate: Candidate) -> Recipe:
    """The recipe that a candidate is of."""
    recipe = recipe_named(candidate.recipe, candidate.format, task.config)
    assert recipe is not None
    return recipe
