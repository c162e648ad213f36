"""Lazy modules get their shapes from the first sample, before any weights are loaded."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.config import Config
from pipeline.errors import UsageError
from pipeline.graph.signature import stacked
from pipeline.graph.wrap import Wrapped, parameter_names
from pipeline.project.entries import Prepare, user_code
from pipeline.project.samples import load_samples

if TYPE_CHECKING:
    from torch import nn


def by_first_sample(config: Config) -> Prepare:
    """For `build_model`: runs the model once on a validation sample where a parameter of it has no
    shape yet. Raises UsageError for one that has none even then, naming it."""

    def prepare(model: "nn.Module") -> None:
        if any(_shapeless(model)):
            _run_once(config, model)
        left = list(_shapeless(model))
        if left:
            raise UsageError(
                f"{left[0]} of the model has no shape after a first sample: no call reaches it.",
                "Give the lazy module its sizes, or leave it out of the model.",
            )

    return prepare


def _run_once(config: Config, model: "nn.Module") -> None:
    """In evaluation mode: no statistics change, and a batch of one is enough."""
    import torch

    with torch.random.fork_rng(devices=[]):  # weights do not depend on what the data draws
        samples = load_samples(config, "validation", 1)
    names = samples.names or parameter_names(model, len(samples.inputs[0]))
    known = [config.input_named(name) for name in names]
    inputs = [
        torch.from_numpy(stacked([array], one.batch_axis))
        for one, array in zip(known, samples.inputs[0], strict=True)
    ]
    training = model.training
    model.eval()
    what = "The model, with its lazy modules, on a first sample"
    with user_code(what, config.root), torch.no_grad():
        Wrapped(config, model, names, samples.keywords).call(*inputs)
    model.train(training)


def _shapeless(model: "nn.Module") -> Iterator[str]:
    from torch.nn.parameter import is_lazy

    for kind in (model.named_parameters(), model.named_buffers()):
        yield from (name for name, tensor in kind if is_lazy(tensor))
