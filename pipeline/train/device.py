"""What training runs on: device, precision, threads, and everything set so that it repeats."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from pipeline.config import TrainConfig, threads_or_all
from pipeline.errors import SetupError, UsageError
from pipeline.system.progress import Reporter
from pipeline.train.heap import kept_heap
from pipeline.train.stop import held
from pipeline.train.world import World, current


@dataclass(frozen=True)
class Machine:
    """`autocast` is the element type of mixed precision, None for plain float32."""

    device: torch.device
    threads: int
    autocast: torch.dtype | None
    world: World

    @property
    def device_name(self) -> str:
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else ""

    @property
    def amp(self) -> str:
        return {None: "off", torch.bfloat16: "bf16", torch.float16: "fp16"}[self.autocast]


@contextmanager
def machine(config: TrainConfig, report: Reporter) -> Iterator[Machine]:
    """Sets torch's threads, determinism and heap for a training, and puts them back after it.

    Python warnings inside go to the user once, as one line each. Raises SetupError for a device
    that this machine lacks.
    """
    world = current()
    device = own_device(choose_device(config.device), world)
    threads = config.threads or max(1, threads_or_all(0) // world.local_size)
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
    )
    # cuBLAS repeats its sums only with this, and reads it when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with kept_heap(), warnings.catch_warnings():
        # DDP's, of the gradients of convolutions over pictures whose channels lie together.
        warnings.filterwarnings("ignore", message="Grad strides do not match")
        warnings.showwarning = lambda text, *_, **__: report.warn(
            str(text).strip().partition("\n")[0]
        )
        torch.set_num_threads(threads)
        with held():  # torch imports its compiler here, and a signal meanwhile aborts the process
            torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = False
        try:
            yield Machine(device, threads, choose_autocast(config.amp, device), world)
        finally:
            torch.set_num_threads(before[0])
            torch.use_deterministic_algorithms(before[1], warn_only=before[2])
            torch.backends.cudnn.benchmark = before[3]


@contextmanager
def not_filled() -> Iterator[None]:
    """Ends the filling of new memory with NaN, a part of torch's determinism, for what is inside.

    It shows parameters that nothing has set, so it is on while the model is built; in the steps
    it costs some 4 % of the time on a CPU, and no weight depends on it.
    """
    settings: Any = torch.utils.deterministic
    before = settings.fill_uninitialized_memory
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        settings.fill_uninitialized_memory = before


def own_device(device: torch.device, world: World) -> torch.device:
    """Of several GPUs the one that is this process's. Raises SetupError if there are too few."""
    if world.alone or device.type != "cuda":
        return device
    if world.local_size > torch.cuda.device_count():
        raise SetupError(
            f"{world.host} has {torch.cuda.device_count()} GPUs for {world.local_size} processes.",
            'Start one process for each GPU: --nproc-per-node auto. Or set train.device = "cpu".',
        )
    return torch.device("cuda", world.local_rank)


def choose_device(name: str) -> torch.device:
    """`auto`: cuda, then mps, then cpu."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(
            f"train.device: {name!r} is not a device.", 'Give "auto", "cpu", "cuda" or "cuda:1".'
        ) from None
    usable = {
        "cpu": True,
        "cuda": (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not usable.get(device.type, False):
        there = [kind for kind, yes in usable.items() if yes and kind != device.type]
        raise SetupError(
            f"train.device: this machine has no {name!r}.",
            f'It has {" and ".join(there)}; "auto" takes the best of them.',
        )
    return device


def choose_autocast(amp: str, device: torch.device) -> torch.dtype | None:
    """The element type that `train.amp` stands for on a device."""
    if amp == "auto" and device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(amp)
