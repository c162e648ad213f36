"""Every artifact in every runtime against the reference, on the same samples: one verdict."""

from pipeline.workspace.stage import Job, Summary


def run(job: Job) -> Summary:
    """Writes `verdict.json`. A failed verdict is a result, not an error.

    Raises UsageError where there is nothing to judge, or where the reference itself cannot answer.
    """
    from pipeline.verify.stage import verify

    return verify(job)
