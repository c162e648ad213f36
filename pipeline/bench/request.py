"""What the stage asks of a worker: a line of JSON that says what is measured, then one a turn."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pipeline.config import Config
from pipeline.graph.signature import Signature
from pipeline.runtimes import Asked

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
    """`artifact` is a file, None for eager; `signature` what it takes and gives, as JSON. `runtime`
    is one of `RUNTIMES`, eager, or a peer where `peer` says so. `inputs` is an .npz of samples
    (`inputs.py`), `folder` a place for files of the worker's. `fixed_batch` is the only batch size
    that the artifact takes, if so. `runs` and `seconds` are those of one turn, at least."""

    runtime: str
    peer: bool
    artifact: str | None
    signature: dict[str, Any]
    made_for: str
    eager: Eager | None
    threads: int
    inputs: str
    folder: str
    fixed_batch: int | None
    warmup_runs: int
    runs: int
    seconds: float
    batch_sizes: list[int]
    batch_seconds: float

    @property
    def asked(self) -> Asked:
        """Nothing else runs while a row is measured."""
        signature = Signature.from_json(self.signature)
        return Asked(signature, self.threads, self.made_for, alone=True)

    @property
    def batch(self) -> int:
        """Of the latency: one, where the artifact takes that."""
        return self.fixed_batch or 1

    @property
    def other_sizes(self) -> list[int]:
        """Batch sizes besides the latency's own."""
        return [size for size in self.batch_sizes if size != self.batch and not self.fixed_batch]

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        data = json.loads(line)
        eager = data.pop("eager")
        return cls(eager=Eager(**eager) if eager else None, **data)


@dataclass(frozen=True)
class Turn:
    """One turn: open, warm up, measure, close; behind the `last` the other batch sizes. All
    contestants draw the inputs of a round with the same `seed`."""

    seed: int
    warm_seconds: float
    last: bool

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        return cls(**json.loads(line))
