"""`[bench]`."""

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.config.base import Count, Section


class BenchConfig(Section):
    threads: PositiveInt = 1
    """CPU threads of every runtime."""
    warmup_runs: Annotated[int, Field(ge=10)] = 10
    """Runs before the measured ones, at least; and half a second of them."""
    runs: Annotated[int, Field(ge=64)] = 64
    """At least so many measured runs of each contestant ..."""
    seconds: PositiveFloat = 10.0
    """... and so many seconds. `pipeline bench --quick` takes 2."""
    rounds: Annotated[int, Field(ge=10)] = 10
    """Turns of each contestant, among which runs and seconds are shared out."""
    seed: Count = 0
    """Of the draw of samples, the same for all contestants."""
    batch_sizes: tuple[PositiveInt, ...] = (1, 8, 32)
    """For throughput; latency is measured at batch 1."""
    runtimes: tuple[str, ...] = ()
    """Default: all that this machine has."""
    against: tuple[str, ...] = ()
    """Other engines to measure on the same ONNX files: `onnxruntime` (its default session),
    `openvino`."""
