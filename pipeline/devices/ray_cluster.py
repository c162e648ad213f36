"""A Ray cluster that runs already: to join it, and to have work done there. Extra [ray]."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pipeline.errors import SetupError, brief

Given = TypeVar("Given")
Made = TypeVar("Made")


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The module ray, connected to the cluster at `address` (`auto`: the one of this machine).

    Raises SetupError without the package, or where no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A worker runs in this Python and folder, whatever started it.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        import ray
    except ImportError as error:
        raise SetupError(
            "Ray is not installed.", "pip install 'edge-pipeline[ray]' on every node."
        ) from error
    try:
        ray.init(address=address, log_to_driver=True, configure_logging=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = "on this machine" if address == "auto" else f"at {address}"
        raise SetupError(
            f"No Ray cluster answers {where}: {brief(error)}",
            "Start one: ray start --head. Or name it: --ray-address HOST:6379",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def each(
    ray: Any, function: Callable[[Given], Made], items: Iterable[Given], cpus: float = 1
) -> Iterator[tuple[Given, Made]]:
    """`function` of each item, somewhere on the cluster, as they are done: (item, result).

    `cpus` is what one call takes. What a call raises is raised here, as it was.
    """
    task = ray.remote(num_cpus=cpus)(function)
    waiting = {task.remote(item): item for item in items}
    while waiting:
        (done,), _ = ray.wait(list(waiting), num_returns=1)
        item = waiting.pop(done)
        try:
            yield item, ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause or error from None
