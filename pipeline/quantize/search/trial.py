"""What became of a candidate: made, scored and measured once for each rung, kept on the disk."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.formats.table import FORMATS
from pipeline.formats.torchscript import android_pytorch
from pipeline.quantize.candidates import Candidate
from pipeline.quantize.make import Maker
from pipeline.quantize.onnx.fused import fused
from pipeline.quantize.search.evaluator import Accuracy, Evaluator, Rung, Speed
from pipeline.workspace.results.ratio import Ratio


@dataclass(frozen=True)
class Trial:
    """`file` lies in the search's folder. `failed` says why there are no figures. `share` of the
    layers is computed on integers; `drop` of the metric, positive if worse."""

    candidate: Candidate
    file: str = ""
    bytes: int = 0
    made_for: str = "any"
    details: dict[str, Any] = field(default_factory=dict)
    failed: str | None = None
    accuracy: Accuracy | None = None
    drop: float | None = None
    speed: Speed | None = None
    fused: dict[str, Any] | None = None
    share: float | None = None
    rounds: int = 0

    @property
    def name(self) -> str:
        return self.candidate.name

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any], candidate: Candidate) -> "Trial":
        given = {k: v for k, v in data.items() if k not in ("name", "candidate")}
        accuracy, speed = given.pop("accuracy"), given.pop("speed")
        if speed:
            speed = Speed(speed["ms"], speed["fp32_ms"], Ratio(**speed["ratio"]))
        return cls(candidate, accuracy=accuracy and Accuracy(**accuracy), speed=speed, **given)


class TrialRunner:
    """Makes, scores and measures candidates. Results lie in `folder`, by candidate and rung, so
    that an interrupted search goes on where it was."""

    def __init__(self, maker: Maker, evaluator: Evaluator, folder: Path, measures: bool) -> None:
        """`measures`: whether this machine is of the kind that the candidates are made for."""
        self.maker, self.evaluator, self.folder, self.measures = maker, evaluator, folder, measures
        folder.mkdir(parents=True, exist_ok=True)

    def trial(self, candidate: Candidate, rung: Rung) -> Trial:
        """Never raises for what is wrong with the candidate: `failed` says it."""
        known = self._known(candidate, rung)
        if known is not None:
            return known
        try:
            trial = self.evaluated(self.made(candidate), rung)
        except PipelineError as error:
            trial = Trial(candidate, failed=error.message)
        _write(self._trial_path(candidate, rung), json.dumps(trial.to_json()).encode())
        return trial

    def made(self, candidate: Candidate) -> Trial:
        """The candidate's file, made where it is not there yet. Raises what making it raises."""
        path = self.folder / f"{candidate.key}{FORMATS[candidate.format].suffix}"
        about = path.with_suffix(".json")
        if not (path.is_file() and about.is_file()):
            result = self.maker.make(candidate)
            _write(path, result.data)
            for_android = self.evaluator.config.export.for_ == android_pytorch.TARGET
            if candidate.format == "torchscript" and for_android:
                drop = f'Leave "torchscript:{candidate.recipe}" out of [quantize] recipes.'
                android_pytorch.check(path, drop)
            facts = {"made_for": result.made_for, "details": result.details}
            _write(about, json.dumps(facts).encode())
        facts = json.loads(about.read_bytes())
        size = path.stat().st_size
        return Trial(candidate, path.name, size, facts["made_for"], facts["details"])

    def evaluated(self, trial: Trial, rung: Rung) -> Trial:
        """A trial that was made, scored and measured against fp32."""
        accuracy = self.score(trial, rung)
        seen = None
        if trial.candidate.format == "onnx" and self.measures:
            seen = fused(self.path(trial))
        scored = replace(
            trial,
            accuracy=accuracy,
            drop=self.evaluator.drop(accuracy),
            fused=seen.to_json() if seen else None,
            share=seen.share if seen else None,
        )
        return self.measured(scored, rung)

    def score(self, trial: Trial, rung: Rung) -> Accuracy:
        """Of a trial's file, scored where it was not yet."""
        kept = self.folder / f"{trial.candidate.key}.{rung.samples or 'all'}.json"
        if not kept.is_file():
            accuracy = self.evaluator.accuracy(self.path(trial), trial.made_for, rung.samples)
            _write(kept, json.dumps(asdict(accuracy)).encode())
        return Accuracy(**json.loads(kept.read_bytes()))

    def path(self, trial: Trial) -> Path:
        return self.folder / trial.file

    def measured(self, trial: Trial, rung: Rung) -> Trial:
        """The trial with another measurement of its speed."""
        if not self.measures or trial.failed:
            return trial
        speed = self.evaluator.speed(self.path(trial), trial.made_for, rung)
        return replace(trial, speed=speed, rounds=rung.rounds)

    def _known(self, candidate: Candidate, rung: Rung) -> Trial | None:
        path = self._trial_path(candidate, rung)
        if not path.is_file():
            return None
        trial = Trial.from_json(json.loads(path.read_bytes()), candidate)
        return trial if trial.failed or self.path(trial).is_file() else None

    def _trial_path(self, candidate: Candidate, rung: Rung) -> Path:
        return self.folder / f"{candidate.key}.{rung.samples or 'all'}-{rung.rounds}.json"


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(data)
    os.replace(draft, path)
