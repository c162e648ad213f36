"""Every artifact in every runtime, in turns: load, latency, throughput, memory."""

from pipeline.workspace.stage import Job, Summary


def run(job: Job) -> Summary:
    """Writes `bench.json` and `latencies.npz`. A row that fails says why in `error`.

    Raises UsageError where there is nothing to measure.
    """
    from pipeline.bench.stage import bench

    return bench(job)
