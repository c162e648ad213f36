"""The model that artifacts are held against, for tests that ask it themselves."""

from pathlib import Path

from pipeline.config import Config
from pipeline.graph.wrap import Wrapped
from pipeline.project.samples import load_samples
from pipeline.runtimes.eager import wrapped_model


def reference_model(config: Config, train: Path) -> Wrapped:
    return wrapped_model(config, train, load_samples(config, "validation", 1))
