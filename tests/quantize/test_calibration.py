"""Calibration takes the samples one batch at a time, as the exported graph wants them."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.export import Format
from pipeline.config.file import load_config
from pipeline.errors import UsageError
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.quantize.calibration import calibration_batches, one_batch
from pipeline.quantize.candidates import Candidate
from pipeline.quantize.make import maker_of
from pipeline.quantize.recipes import Task
from pipeline.quantize.scheme import default_scheme
from pipeline.system import machine
from pipeline.system.progress import Silent
from pipeline.workspace.artifacts import Artifact
from tests.quantize.quantize_cases import CONVOLUTIONS, MODELS, Exported, batches

Project = Callable[[str], Exported]


def task(
    folder: Path, shape: tuple[int | None, ...], *overrides: str, format: str = "onnx"
) -> Task:
    config = load_config(folder, overrides)
    scratch = folder / "scratch of calibration"
    scratch.mkdir(exist_ok=True)
    signature = Signature((TensorSpec("image", "uint8", shape),), ())
    source = Artifact(f"{format}-fp32", format, "fp32", None, "", 0, "", 18)  # type: ignore[arg-type]
    suffix = "onnx" if format == "onnx" else "pt"
    path = folder / "export" / f"model.fp32.{suffix}"
    with Silent().bar("", None) as bar:
        return Task(config, source, path, signature, folder / "train", scratch, bar, "x86_64")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.toml").write_text(CONVOLUTIONS)
    (tmp_path / "models.py").write_text(MODELS)
    return tmp_path


def sizes(task: Task) -> list[int]:
    return [len(batch[0]) for batch in calibration_batches(task)]


def test_batches_cover_the_samples(folder: Path) -> None:
    image = (None, None, None, 3)
    ten = "quantize.calibration_samples=10"
    assert sizes(task(folder, image, ten)) == [4, 4, 2]
    assert len(one_batch(task(folder, image))[0]) == 4


def test_a_fixed_batch_is_filled_up(folder: Path) -> None:
    given = task(folder, (3, None, None, 3), "quantize.calibration_samples=4")
    first, last = calibration_batches(given)
    assert len(first[0]) == len(last[0]) == 3
    assert (last[0][0] == last[0][2]).all()


def test_samples_of_another_size_are_named(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"calibration sample of image is \[16, 16, 3\]"):
        sizes(task(folder, (None, 32, 32, 3)))


def test_neighbours_of_one_shape_share_a_batch(project: Project) -> None:
    exported = project("attention")
    config = exported.config()
    shapes = [batch[0].shape for batch in batches(config, exported.signature, "calibration", 24, 8)]
    assert sum(shape[0] for shape in shapes) == 24
    assert len({shape[1] for shape in shapes}) > 1


@pytest.mark.parametrize("format", ["onnx", "torchscript"])
def test_memory_does_not_grow_with_the_samples(project: Project, format: Format) -> None:
    """NumPy reports its arrays to tracemalloc: samples, activations, ranges."""
    scheme = default_scheme(machine.made_for()) if format == "onnx" else None
    candidate = Candidate(format, "int8-static", machine.made_for(), scheme)
    folder = project("convolutions").folder
    peaks = []  # type: ignore[var-annotated]
    for samples in (16, 256):
        given = task(
            folder,
            (None, None, None, 3),
            f"quantize.calibration_samples={samples}",
            "input.size=[64,64]",
            format=format,
        )
        if not peaks:
            maker_of(given).make(candidate)  # what is imported and cached once is not the samples'
        tracemalloc.start()
        maker_of(given).make(candidate)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    grown = 240 * 64 * 64 * 3  # bytes of the samples alone
    assert peaks[1] - peaks[0] < grown / 4, peaks


def test_ranges_are_those_of_all_batches(project: Project) -> None:
    """The first activation's range spans the extremes over the whole calibration set."""
    from onnx import load, numpy_helper

    exported = project("mlp")
    result = exported.quantize('quantize.recipes=["onnx:int8-static"]')
    values = np.concatenate(
        [batch[0] for batch in batches(exported.config(), exported.signature, "calibration", 24, 8)]
    )
    model = load(result.path("onnx-int8-static"))
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    scale = stored[first.input[1]]
    assert scale == pytest.approx((values.max() - values.min()) / 255, rel=1e-5)
