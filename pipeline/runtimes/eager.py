"""The reference: the user's model in eager PyTorch, fp32, with its pre- and postprocessing.

It opens no artifact, so it is no row of `RUNTIMES`; it answers like one.
"""

from pathlib import Path
from typing import Any

import torch

from pipeline.config import Config
from pipeline.project import build_model
from pipeline.runtimes import Array
from pipeline.samples import load_samples
from pipeline.weights import WEIGHTS, load_weights
from pipeline.wrap import IMAGE, Wrapped, flatten, parameter_names


def reference_model(config: Config, train: Path) -> Wrapped:
    """The wrapped model with the weights that the train stage published, in evaluation mode."""
    model = build_model(config)
    if config.model.entry is not None:
        load_weights(model, train / WEIGHTS)
    first = load_samples(config, "validation", 1)
    names = first.names or parameter_names(model, len(first.inputs[0]))
    if config.input.kind == "image":
        names = (IMAGE,)
    return Wrapped(config, model, names, first.keywords).eval()


class EagerRunner:
    def __init__(self, model: Wrapped, threads: int) -> None:
        self.model = model
        self.threads = threads

    def run(self, inputs: list[Array]) -> list[Array]:
        torch.set_num_threads(self.threads)
        with torch.inference_mode():
            answers = flatten(self.model(*(torch.from_numpy(array) for array in inputs)))
        return [tensor.numpy() for tensor in answers]

    def close(self) -> None:
        del self.model

    def describe(self) -> dict[str, Any]:
        return {"runtime": "eager", "version": torch.__version__, "threads": self.threads}
