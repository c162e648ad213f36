"""Tar shards: read as webdataset reads them, split, shuffled, taken up inside an epoch."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import webdataset

import pipeline.train
from pipeline.config.file import load_config
from pipeline.errors import Interrupted, UsageError
from pipeline.train.data import shuffled, split_batches
from pipeline.train.world import World
from pipeline.workspace.stage import Job
from tests.train.conftest import Stopping

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shards"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples") / "shards"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("data", "runs"))
    module(folder / "write.py").write(folder / "data")
    return folder


@pytest.fixture
def shards(folder: Path) -> Iterator[ModuleType]:
    found = module(folder / "shards.py")
    yield found
    found.opened.cache_clear()


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_webdataset_reads_the_same(folder: Path, shards: ModuleType) -> None:
    ours = shards.build_data()["train"]
    urls = [str(path) for path in sorted((folder / "data" / "train").glob("*.tar"))]
    theirs = list(
        webdataset.WebDataset(urls, shardshuffle=False).decode("l8").to_tuple("png", "cls")
    )
    assert len(ours) == len(theirs) == 1437
    for index in range(0, len(ours), 7):
        assert np.array_equal(ours[index][0][..., 0], theirs[index][0])
        assert ours[index][1] == theirs[index][1]


def test_an_epoch_reads_few_shards_at_a_time(shards: ModuleType) -> None:
    data = shards.build_data()["train"]
    orders = [shuffled(data, 0, epoch) for epoch in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    # Two ranks together see each sample once, from no more than two windows at a time.
    shares = [split_batches(orders[0], 32, World(rank, 2)) for rank in (0, 1)]
    seen = [index for rank in shares for share in rank for index in share.indices[: share.counted]]
    assert sorted(seen) == list(range(1437))
    for one, other in zip(*shares, strict=True):
        touched = {int(data.rows[index][0]) for index in one.indices + other.indices}
        assert len(touched) <= 2 * shards.WINDOW
    # What stays in memory is the index, and a few open files.
    for index in orders[0]:
        data[index]
    assert shards.opened.cache_info().currsize <= 2 * shards.WINDOW


@pytest.mark.slow
def test_taken_up_inside_an_epoch(folder: Path) -> None:
    """Interrupted in the middle of each epoch, with workers: the same bits as undisturbed."""

    def train(to: str, stop: int | None = None) -> bytes | None:
        config = load_config(folder, ["train.epochs=2", "train.device=cpu"])
        out, scratch = folder / to, folder / f"{to}.scratch"
        for one in (out, scratch):
            one.mkdir(exist_ok=True)
        report = Stopping(stop or 0)
        try:
            pipeline.train.run(Job(config, {}, out, scratch, report))
        except Interrupted:
            return None
        if to == "pieces":
            assert any("Training resumes from epoch" in note for note in report.notes)
        return (out / "weights.safetensors").read_bytes()

    whole, pieces = train("whole"), None
    for _ in range(9):
        pieces = train("pieces", 40)
        if pieces:
            break
    assert whole
    assert pieces == whole


def test_an_order_that_leaves_samples_out_is_refused(shards: ModuleType) -> None:
    data = shards.build_data()["train"]
    data.order = lambda seed: range(len(data) - 1)
    with pytest.raises(UsageError, match="not a permutation of its 1437 samples"):
        shuffled(data, 0, 0)
