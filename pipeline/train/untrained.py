"""`train.epochs = 0`, no data, or a model that is a file: the weights stay as they are."""

import math
from contextlib import closing

from torch import nn

from pipeline.config import Config
from pipeline.project.entries import build_model, load_splits
from pipeline.project.lazy import by_first_sample
from pipeline.project.weights import WEIGHTS, save_weights
from pipeline.train import rng
from pipeline.train.device import machine
from pipeline.train.evaluate import Validation
from pipeline.train.results import METRICS, metric_of, setting, write_training
from pipeline.workspace.results.train import Training
from pipeline.workspace.stage import Job, Summary


def keep_weights(job: Job) -> Summary:
    """Evaluates the model once, where there is data, and saves the weights that it has."""
    config = job.config
    foreign = config.model.torchscript or config.model.onnx
    train = config.train.model_copy(update={"device": "cpu"}) if foreign else config.train
    with machine(train, job.report) as here:
        rng.seed_all(config.train.seed)
        datasets = load_splits(config, "validation") if config.data.entry else []
        rng.seed_all(config.train.seed)  # random weights do not depend on what the data drew
        model = build_model(config, by_first_sample(config), job.report.note).to(here.device)
        asked = _samples_alone(config)
        validation = Validation(asked, model, datasets[0], here) if datasets else None
        value = _score(job, model, validation) if validation else None
        if not foreign and here.world.first:
            save_weights(model, job.out / WEIGHTS)
        (job.out / METRICS).touch()
        training = Training(
            **setting(config, here, model),
            trained_epochs=0,
            weights=None if foreign else WEIGHTS,
            why=_why(job),
            metric=metric_of(validation, value),
            validation_samples=validation.size if validation else 0,
        )
        return write_training(job.out, here, training)


def _samples_alone(config: Config) -> Config:
    """A batch of one where samples may differ in shape, or in what a batch shares: the weights do
    not depend on it."""
    alike = all(
        one.batch_axis is not None and not any(isinstance(a, str) for a in one.sample_axes or ())
        for one in config.named_inputs.values()
    )
    train = config.train.model_copy(update={"batch_size": config.train.batch_size if alike else 1})
    return config.model_copy(update={"train": train})


def _score(job: Job, model: nn.Module, validation: Validation) -> float | None:
    """The metric over the validation set; None without one, or where it is no finite number."""
    with closing(validation), job.report.bar("Evaluating", None):
        score = validation.score(model, None)
    assert score is not None  # nothing stops it
    if validation.metric is None or score.metric is None:
        job.report.note(f"Not trained: {_why(job)}.")
        return None
    job.report.note(f"Not trained: {_why(job)}. {validation.metric.name} {score.metric:.4f}.")
    return score.metric if math.isfinite(score.metric) else None


def _why(job: Job) -> str:
    config = job.config
    foreign = config.model.torchscript or config.model.onnx
    if foreign:
        return f"{foreign} keeps the weights that it holds"
    if config.data.entry is None:
        return "there is no [data] entry"
    if not config.has_loss:
        return "there is no [train] loss, and outputs of any kind have none of their own"
    return "[train] epochs = 0"
