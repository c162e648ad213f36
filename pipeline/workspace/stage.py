"""What a stage is: a function from a `Job` to files in a folder of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.system.progress import Reporter

STAGES = ("train", "export", "quantize", "verify", "bench", "package")


@dataclass(frozen=True)
class Job:
    """What a stage's `run(job)` gets.

    It reads `config` and the folders of earlier stages in `inputs`, writes into `out` (published
    under the stage's name once `run` returns, dropped if it raises) and tells the user through
    `report`. `scratch` is a folder that outlives an interruption and is emptied when the stage is
    done: checkpoints lie there. `run` returns a summary, JSON that goes into the stage's record.
    """

    config: Config
    inputs: Mapping[str, Path]
    out: Path
    scratch: Path
    report: Reporter


Summary = dict[str, Any]
