"""From fp32 artifacts to int8 and fp16 ones, each read back to see what it really became."""

from pipeline.workspace.stage import Job, Summary


def run(job: Job) -> Summary:
    """Writes `model.<recipe>.<ext>` for every recipe and format, `artifacts.json` (of its own
    artifacts alone) and `quantize.json`.

    Raises UsageError for a recipe that does not fit the model or changed nothing in it.
    """
    from pipeline.quantize.stage import quantize

    return quantize(job)
