"""Artifacts, verdict and timings → NAME.bundle, the same bytes for the same inputs."""

from pipeline.workspace.stage import Job, Summary


def run(job: Job) -> Summary:
    """Writes NAME.bundle/ and MODEL-CARD.md, the bundle's card with latencies.

    Raises VerdictError if the verdict is not `pass`, unless `[package] allow_failed`.
    """
    from pipeline.package.stage import package

    return package(job)
