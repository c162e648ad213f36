"""What became of a candidate: made, scored and measured once for each rung, kept on the disk."""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.formats.torchscript import android_pytorch
from pipeline.measure.timing.contest import Ratio
from pipeline.quantize.candidates import Candidate
from pipeline.quantize.library import first_line
from pipeline.quantize.make import Maker
from pipeline.quantize.onnx.fused import fused
from pipeline.quantize.search.evaluator import Accuracy, Evaluator, Rung, Speed


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
            found = self._tried(candidate, rung)
        except PipelineError as error:
            found = Trial(candidate, failed=error.message)
        except (RuntimeError, ValueError) as error:
            found = Trial(candidate, failed=first_line(error))
        self._keep(found, rung)
        return found

    def score(self, candidate: Candidate, rung: Rung) -> Accuracy:
        """Of the candidate's file, made where it is not there yet. Raises what making and running
        it raise."""
        path, made_for, _ = self._file(candidate)
        kept = self.folder / f"{candidate.key}.{rung.samples or 'all'}.json"
        if not kept.is_file():
            found = self.evaluator.accuracy(path, made_for, rung.samples)
            _write(kept, json.dumps(asdict(found)).encode())
        return Accuracy(**json.loads(kept.read_bytes()))

    def path(self, trial: Trial) -> Path:
        return self.folder / trial.file

    def measured(self, trial: Trial, rung: Rung) -> Trial:
        """The trial with another measurement of its speed."""
        if not self.measures or trial.failed:
            return trial
        speed = self.evaluator.speed(self.path(trial), trial.made_for, rung)
        return replace(trial, speed=speed, rounds=rung.rounds)

    def _tried(self, candidate: Candidate, rung: Rung) -> Trial:
        path, made_for, details = self._file(candidate)
        accuracy = self.score(candidate, rung)
        seen = self._fused(candidate, path)
        found = Trial(
            candidate,
            file=path.name,
            bytes=path.stat().st_size,
            made_for=made_for,
            details=details,
            accuracy=accuracy,
            drop=self.evaluator.drop(accuracy),
            fused=seen and seen.to_json(),
            share=seen and seen.share,
        )
        return self.measured(found, rung)

    def _file(self, candidate: Candidate) -> tuple[Path, str, dict[str, Any]]:
        """The candidate's file, made where it is not there yet."""
        suffix = "onnx" if candidate.format == "onnx" else "pt"
        path, about = (
            self.folder / f"{candidate.key}.{suffix}",
            self.folder / f"{candidate.key}.json",
        )
        if not (path.is_file() and about.is_file()):
            made = self.maker.make(candidate)
            _write(path, made.data)
            config = self.evaluator.config
            if suffix == "pt" and config.export.for_ == android_pytorch.TARGET:
                android_pytorch.check(path, "Another candidate may do.")
            facts = {
                "made_for": made.made_for,
                "details": made.details,
            }
            _write(about, json.dumps(facts).encode())
        facts = json.loads(about.read_bytes())
        return path, facts["made_for"], facts["details"]

    def _fused(self, candidate: Candidate, path: Path) -> Any:
        if candidate.format != "onnx" or not self.measures:
            return None
        return fused(path, self.folder)

    def _known(self, candidate: Candidate, rung: Rung) -> Trial | None:
        path = self._trial_path(candidate, rung)
        if not path.is_file():
            return None
        found = Trial.from_json(json.loads(path.read_bytes()), candidate)
        return found if found.failed or self.path(found).is_file() else None

    def _keep(self, trial: Trial, rung: Rung) -> None:
        path = self._trial_path(trial.candidate, rung)
        _write(path, json.dumps(trial.to_json()).encode())

    def _trial_path(self, candidate: Candidate, rung: Rung) -> Path:
        return self.folder / f"{candidate.key}.{rung.samples or 'all'}-{rung.rounds}.json"


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    draft.write_bytes(data)
    os.replace(draft, path)
