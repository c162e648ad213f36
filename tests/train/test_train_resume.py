"""Stopped anywhere and gone on with, a training ends with the very same bytes."""

import signal
from pathlib import Path

import pytest
import torch
from torch.optim import Optimizer, lr_scheduler

from pipeline.errors import Interrupted
from pipeline.system.progress import Silent
from pipeline.train.optim import classes_of
from pipeline.train.stop import held
from tests.train.conftest import MakeProject, Project, Stopping, same

STEPS = 4  # in an epoch of the project

# Three of torch's cannot train it as it is: LBFGS asks for the model again and again, SparseAdam
# for sparse gradients, Muon for matrices alone.
UNFIT = {"LBFGS", "SparseAdam", "Muon"}
OPTIMIZERS = sorted(classes_of(torch.optim, Optimizer).keys() - UNFIT)

OWN_OPTIMIZER = """

def muon(parameters, lr):
    return torch.optim.Muon([matrix for matrix in parameters if matrix.ndim == 2], lr=lr)
"""

SCHEDULERS = {
    "CosineAnnealingLR": "",
    "CosineAnnealingWarmRestarts": "T_0 = 3",
    "ConstantLR": "",
    "CyclicLR": 'base_lr = 0.001, max_lr = 0.1, step_size_up = 3, mode = "exp_range"',
    "ExponentialLR": "gamma = 0.9",
    "LinearLR": "",
    "MultiStepLR": "milestones = [2, 5, 5]",
    "OneCycleLR": "",
    "PolynomialLR": "total_iters = 9",
    "StepLR": "step_size = 2",
    "points.py:warm_up": "",
    "points.py:by_lambda": "",
}

OWN_SCHEDULERS = """

def warm_up(optimizer, total_steps):
    rise = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=3)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total_steps)
    return torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], [3])


def by_lambda(optimizer):
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
"""


def check(project: Project, steps: int, *overrides: str) -> None:
    project.train(*overrides)
    assert project.train_in_pieces(steps, *overrides) >= 2
    assert same(project.result(), project.result("pieces"))


def test_stopped_after_every_single_step(project: MakeProject) -> None:
    points = project()
    points.train()
    assert points.train_in_pieces(1) == 3 * STEPS
    assert same(points.result(), points.result("pieces"))
    assert len(points.rows("pieces")) == 3


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    "overrides",
    [
        ["train.accumulate=3", "train.scheduler=OneCycleLR", "train.scheduler_every=step"],
        ["train.amp=bf16", "train.clip_norm=0.1", "train.persistent_workers=false"],
        ["train.amp=fp16", "train.patience=1", "train.checkpoint_every=3"],
    ],
    ids=["accumulated", "clipped-bf16", "scaled-fp16"],
)
def test_however_it_is_trained(project: MakeProject, overrides: list[str], workers: int) -> None:
    points = project(*overrides)
    points.train()  # without workers: they change nothing
    points.train_in_pieces(3, f"train.workers={workers}")
    assert same(points.result(), points.result("pieces"))


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, "points.py:muon"])
def test_every_optimizer(project: MakeProject, optimizer: str) -> None:
    check(project(code=OWN_OPTIMIZER), 5, f"train.optimizer={optimizer}")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler(project: MakeProject, scheduler: str) -> None:
    args = f"train.scheduler_args={{ {SCHEDULERS[scheduler]} }}"
    points = project(f"train.scheduler={scheduler}", args, code=OWN_SCHEDULERS)
    check(points, 5, "train.scheduler_every=step")
    assert len({row["lr"] for row in points.rows()}) > 1 or scheduler == "ConstantLR"


def test_a_scheduler_that_watches(project: MakeProject) -> None:
    scheduler = ["train.scheduler=ReduceLROnPlateau", "train.scheduler_args={ patience = 0 }"]
    points = project(*scheduler, "train.epochs=6")
    check(points, 5)
    assert points.rows()[-1]["lr"] < 0.02


class Raising(Stopping):
    """Raises a flag, which the validation set answers with SIGTERM, once training has begun."""

    def __init__(self, flag: Path) -> None:
        super().__init__(0)
        self.flag = flag

    def advance(self, steps: float = 1, text: str = "") -> None:
        self.flag.touch()


def test_stopped_while_validating(project: MakeProject) -> None:
    points = project()
    points.train()
    flag = points.folder / "stop while validating"
    for _ in range(2):
        with pytest.raises(Interrupted, match="after step 4, with 0 of 3 epochs finished"):
            points.train(to="pieces", report=Raising(flag))
        assert not flag.exists()
    points.train(to="pieces")
    assert same(points.result(), points.result("pieces"))


def test_ctrl_c_is_sigterm(project: MakeProject) -> None:
    points = project()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="after step 2, with 0 of 3") as stopped:
        points.train(report=Stopping(2, signal.SIGINT))
    assert stopped.value.exit_code == 130
    assert signal.getsignal(signal.SIGINT) is before


def test_it_says_from_where_it_goes_on(project: MakeProject) -> None:
    points = project()
    with pytest.raises(Interrupted):
        points.train(report=Stopping(STEPS + 2))
    report = Silent()
    points.train(report=report)
    assert report.notes[0] == "Training resumes from epoch 2 of 3, batch 2, step 6."


def test_another_configuration_starts_anew(project: MakeProject) -> None:
    points = project()
    points.train("train.lr=0.5", to="calm")
    with pytest.raises(Interrupted):
        points.train(report=Stopping(6))
    report = Silent()
    points.train("train.lr=0.5", report=report)
    assert "another configuration" in report.notes[0]
    assert same(points.result(), points.result("calm"))


def test_the_best_epoch_outlives_an_interruption(project: MakeProject) -> None:
    """Its weights come from its own checkpoint, which is kept as long as it is the best."""
    points = project("output.metric=points.py:falls", code=FALLS)
    summary = points.train()
    assert summary["best_epoch"] == 1
    for clear in points.folder.glob("count"):
        clear.unlink()
    points.train_in_pieces(3)
    assert same(points.result(), points.result("pieces"), ["weights", "last", "rows"])
    assert points.result()["weights"] != points.result()["last"]
    kept = {path.name for path in (points.folder / "pieces.scratch" / "checkpoints").iterdir()}
    assert "00001-00000000" in kept
    assert len(kept) <= 3


FALLS = """

def falls(outputs, targets):
    count = HERE / "count"
    value = int(count.read_text()) if count.exists() else 9
    count.write_text(str(value - 1))
    return float(value)
"""


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(project: MakeProject, file: str) -> None:
    points = project()
    points.train(to="calm")
    with pytest.raises(Interrupted):
        points.train(report=Stopping(2 * STEPS + 2))
    newest = max((points.folder / "out.scratch" / "checkpoints").iterdir())
    damage(newest / file)
    report = Silent()
    points.train(report=report)
    assert newest.name in report.warnings[0]
    assert "resumes from epoch 3 of 3, batch 0, step 8" in report.notes[0]
    assert same(points.result(), points.result("calm"))


def test_all_checkpoints_damaged(project: MakeProject) -> None:
    points = project()
    points.train(to="calm")
    with pytest.raises(Interrupted):
        points.train(report=Stopping(2 * STEPS + 2))
    for path in (points.folder / "out.scratch" / "checkpoints").iterdir():
        (path / "state.json").write_text("{}")
    report = Silent()
    points.train(report=report)
    assert len(report.warnings) >= 2
    assert same(points.result(), points.result("calm"))


@pytest.mark.slow
@pytest.mark.full
def test_compiled(project: MakeProject) -> None:
    points = project("train.compile=true")
    points.train()
    assert points.train_in_pieces(7) == 1
    assert same(points.result(), points.result("pieces"))


def test_schedulers_are_all_here() -> None:
    """A new one of torch's shall not go untested."""
    others = {"LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler"}
    found = classes_of(lr_scheduler, lr_scheduler.LRScheduler).keys()
    assert found - others - {"ReduceLROnPlateau"} == {s for s in SCHEDULERS if ":" not in s}


def test_a_signal_that_is_held_acts_afterwards() -> None:
    """While torch imports its compiler, a KeyboardInterrupt would abort the process."""
    seen = []
    with pytest.raises(KeyboardInterrupt), held():
        signal.raise_signal(signal.SIGINT)
        seen.append("to the end")
    assert seen == ["to the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with held():
        pass
