"""The reference: the user's model in eager PyTorch, fp32, with its pre- and postprocessing.

It opens no artifact, so it is no row of `RUNTIMES`; it answers like one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pipeline.config import Config
from pipeline.graph.array import Array
from pipeline.graph.parametrize import settle_weights
from pipeline.graph.wrap import Wrapped, flatten, parameter_names
from pipeline.project.entries import build_model
from pipeline.project.lazy import by_first_sample
from pipeline.project.samples import Samples
from pipeline.project.weights import WEIGHTS, load_weights
from pipeline.runtimes import array_of


def exported_model(
    config: Config, train: Path, samples: Samples, tell: Callable[[str], None] | None = None
) -> Wrapped:
    """As `wrapped_model`, ready to become a file: with weights that nothing computes anew. `tell`
    is given a line about them."""
    wrapped = wrapped_model(config, train, samples)
    settled = settle_weights(wrapped.model)
    if settled and tell is not None:
        more = f" and {len(settled) - 3} more" if len(settled) > 3 else ""
        tell(f"Computed once, as they stay after training: {', '.join(settled[:3])}{more}.")
    return wrapped


def wrapped_model(config: Config, train: Path, samples: Samples) -> Wrapped:
    """The wrapped model with the weights that the train stage published, in evaluation mode."""
    model = build_model(config, by_first_sample(config))
    if config.model.entry is not None:
        load_weights(model, train / WEIGHTS)
    names = samples.names or parameter_names(model, len(samples.inputs[0]))
    return Wrapped(config, model, names, samples.keywords).eval()


class EagerRunner:
    """Sets torch's thread count, which is the process's, until `close`."""

    def __init__(self, model: Wrapped, threads: int) -> None:
        self.model = model
        self.before = torch.get_num_threads()
        torch.set_num_threads(threads)

    def run(self, inputs: list[Array]) -> list[Array]:
        """Raises whatever the user's model raises, UsageError if it returns no tensors."""
        given = [torch.from_numpy(array.copy()) for array in inputs]  # a model may write into them
        with torch.inference_mode():
            answers = flatten(self.model(*given))
        return [array_of(tensor) for tensor in answers]

    def close(self) -> None:
        del self.model
        torch.set_num_threads(self.before)

    def describe(self) -> dict[str, Any]:
        return {
            "runtime": "eager",
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
        }
