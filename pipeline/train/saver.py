"""Checkpoints beside the training: taken between two steps, written by a thread of its own."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
import torch.distributed as dist

from pipeline.errors import DamagedError, SetupError, UsageError
from pipeline.train import checkpoint, rng, state
from pipeline.train.state import Learner
from pipeline.train.strategy import is_sharded
from pipeline.train.world import World
from pipeline.workspace.stage import Job


class Saver:
    """Saves a learner and takes it up again. All processes call the same methods at the same step.

    A checkpoint of a whole model is written by rank 0; of a sharded one every process writes its
    part, in a process group of the thread's own.
    """

    def __init__(self, job: Job, world: World, mark: str) -> None:
        self.folder = job.scratch / state.FOLDER
        self.mark = mark  # checkpoints of another training have another
        self._job, self._world = job, world
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None
        fsdp = job.config.train.strategy == "fsdp" and not world.alone
        self._group: Any = dist.new_group(backend="gloo") if fsdp else None

    def save(self, learner: Learner) -> None:
        """Takes a copy of this moment; the disk gets it while the training goes on.

        Raises SetupError if the checkpoint before it could not be written.
        """
        self.finish()
        progress = learner.progress
        if self._world.first and is_sharded(learner.model):
            with checkpoint.writing(self.folder):
                checkpoint.clear_draft(self.folder, progress.name)
        moment = capture(learner, self.mark, self._world)
        shards = None
        if is_sharded(learner.model):
            from pipeline.train import sharded  # heavy: torch.distributed.checkpoint

            shards = sharded.staged(learner)
        best = progress.best_at
        needs = {best} if best and best != progress.name else set()
        snapshot = checkpoint.snapshot(moment, needs) if self._world.first else None
        if snapshot or shards:
            self._writing = self._thread.submit(self._write, progress.name, snapshot, shards)

    def check(self) -> None:
        """Raises SetupError if the last checkpoint was tried and failed."""
        if self._writing is not None and self._writing.done():
            self.finish()

    def finish(self) -> None:
        """Waits until the last checkpoint is on the disk."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def close(self) -> None:
        self._thread.shutdown(wait=True)

    def _write(
        self, name: str, snapshot: checkpoint.Snapshot | None, shards: dict[str, Any] | None
    ) -> None:
        hashes = {}
        if shards is not None:
            from pipeline.train import sharded

            draft = checkpoint.draft_of(self.folder, name)
            hashes = sharded.write(draft, shards, self._world, self._group)
        if snapshot is not None:
            checkpoint.write(self.folder, name, snapshot, hashes)
            checkpoint.retire(self.folder, name, self._job.config.train.keep)
        if self._group is not None:
            dist.barrier(self._group)

    def resume(self, learner: Learner) -> bool:
        """Takes up the newest checkpoint that is whole; False if there is none.

        Damaged ones are reported and removed, those of another configuration removed.
        """
        name = self._world.broadcast(self._newest() if self._world.first else None)
        if name is None:
            return False
        path = self.folder / name
        if self._world.any(not path.is_dir()):
            raise SetupError(
                f"{path} is not on every node.",
                "Put the workspace on a file system that all nodes see: --workspace DIR.",
            )
        moment = checkpoint.load(path)
        if is_sharded(learner.model):
            from pipeline.train import sharded

            sharded.read(path, learner)
        restore(learner, moment, self._world)
        return True

    def best_model(self, learner: Learner) -> None:
        """Fills the model with the weights of the best epoch."""
        assert learner.progress.best_at is not None
        path = self.folder / learner.progress.best_at
        if is_sharded(learner.model):
            from pipeline.train import sharded

            sharded.read_model(path, learner)
        else:
            state.fill(learner.model, checkpoint.load(path)["model"])

    def _newest(self) -> str | None:
        report = self._job.report
        for path in checkpoint.newest_first(self.folder):
            try:
                moment = checkpoint.load(path)
                for needed in checkpoint.needs(path):
                    checkpoint.load(self.folder / needed)
            except DamagedError as error:
                report.warn(f"{error.message} The checkpoint before it is used, if there is one.")
                with checkpoint.writing(self.folder):
                    checkpoint.remove(path)
                continue
            if moment["fingerprint"] == self.mark:
                return path.name
            report.note(
                "Earlier checkpoints belong to another configuration: training starts from scratch."
            )
            break
        with checkpoint.writing(self.folder):
            checkpoint.keep_only(self.folder, ())
        return None


def capture(learner: Learner, mark: str, world: World) -> dict[str, Any]:
    """What the checkpoint holds besides shards; of every process its random generators."""
    whole = not is_sharded(learner.model)
    scheduler = learner.scheduler
    generators = world.all_gather(rng.get_state())
    return {
        "fingerprint": mark,
        "progress": state.plain(learner.progress),
        "model": dict(state.tensors_of(learner.model)) if whole else None,
        "optimizer": learner.optimizer.state_dict() if whole else None,
        "buffers": None if whole else dict(learner.model.named_buffers()),
        "scheduler": scheduler.state_dict() if scheduler else None,
        "scaler": learner.scaler.state_dict(),
        "rng": generators,
    }


def restore(learner: Learner, moment: dict[str, Any], world: World) -> None:
    if moment["model"] is not None:
        state.fill(learner.model, moment["model"])
        learner.optimizer.load_state_dict(moment["optimizer"])
        state.same_layout(learner.optimizer)
    else:
        own = dict(learner.model.named_buffers())
        if own.keys() != moment["buffers"].keys():
            raise UsageError(
                "The model's buffers are not the ones that it was saved with.",
                "Make every parameter and buffer, in its size, when the model is built.",
            )
        with torch.no_grad():
            for name, buffer in own.items():
                buffer.copy_(moment["buffers"][name])
    if learner.scheduler:
        learner.scheduler.load_state_dict(moment["scheduler"])
    if moment["scaler"]:
        learner.scaler.load_state_dict(moment["scaler"])
    learner.progress = state.Progress(**moment["progress"])
    if len(moment["rng"]) == world.size:
        rng.set_state(moment["rng"][world.rank])
    else:  # a node came or went: seeds that are a function of the step
        rng.seed_all(rng.derive("rescaled", learner.progress.step, world.size, world.rank))
