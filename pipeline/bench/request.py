"""What the stage asks of a worker: one line of JSON."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pipeline.config import Config
from pipeline.runtimes import Asked
from pipeline.signature import Signature

EAGER = "eager"


@dataclass(frozen=True)
class Eager:
    """The user's model, in place of an artifact: the configuration as given, its folder, the train
    stage's folder, and how samples name the inputs."""

    config: dict[str, Any]
    root: str
    train: str
    names: list[str] | None
    keywords: bool

    def to_config(self) -> Config:
        return Config.model_validate({**self.config, "root": Path(self.root)})


@dataclass(frozen=True)
class Request:
    """`artifact` is a file, None for eager; `signature` what it takes and gives, as JSON. `inputs`
    is an .npz of samples (`inputs.py`), `result` the file to write. `fixed_batch` is the only batch
    size that the artifact takes, if so."""

    runtime: str
    artifact: str | None
    signature: dict[str, Any]
    made_for: str
    eager: Eager | None
    threads: int
    inputs: str
    result: str
    fixed_batch: int | None
    warmup_runs: int
    runs: int
    seconds: float
    batch_sizes: list[int]

    @property
    def asked(self) -> Asked:
        """Nothing else runs while a row is measured."""
        signature = Signature.from_json(self.signature)
        return Asked(signature, self.threads, self.made_for, alone=True)

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        data = json.loads(line)
        eager = data.pop("eager")
        return cls(eager=Eager(**eager) if eager else None, **data)
