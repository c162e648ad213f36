"""Random numbers that repeat: seeds that are functions of what they are for, states that travel."""

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def derive(*parts: int | str) -> int:
    """A 63-bit seed that is a function of `parts`, such as (seed, epoch, index)."""
    text = "/".join(str(part) for part in parts)
    return _seed(hashlib.blake2b(text.encode(), digest_size=8))


def derive_each(*parts: int | str) -> Callable[[int], int]:
    """`derive(*parts, last)` as a function of `last`, with what they share done beforehand."""
    shared = hashlib.blake2b("".join(f"{part}/" for part in parts).encode(), digest_size=8)

    def seed_of(last: int) -> int:
        digest = shared.copy()
        digest.update(b"%d" % last)
        return _seed(digest)

    return seed_of


def _seed(digest: "hashlib.blake2b") -> int:
    return int.from_bytes(digest.digest(), "little") >> 1


def seed_all(seed: int) -> None:
    """Python, numpy, torch on every device."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def seed_cpu(seed: int) -> None:
    """The same without devices: cheap enough to do for every sample."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.default_generator.manual_seed(seed)


@contextmanager
def preserved() -> Iterator[None]:
    """Whatever is drawn inside, the random numbers after it are those that were due."""
    state = get_state()
    try:
        yield
    finally:
        set_state(state)


@contextmanager
def preserved_cpu() -> Iterator[None]:
    """As `preserved`, without devices."""
    python, numpy = random.getstate(), np.random.get_state()
    generator = torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(generator)


def get_state() -> dict[str, Any]:
    """The state of every generator, as tensors, numbers and lists."""
    version, words, gauss = random.getstate()
    numpy = np.random.get_state(legacy=False)
    key = torch.from_numpy(numpy["state"]["key"].astype(np.int64))
    state: dict[str, Any] = {
        "python": [version, torch.tensor(words), gauss],
        "numpy": [key, numpy["state"]["pos"], numpy["has_gauss"], numpy["gauss"]],
        "cpu": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_state(state: dict[str, Any]) -> None:
    """What `get_state` gave, also on a machine with other devices."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words.tolist()), gauss))
    key, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", key.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
