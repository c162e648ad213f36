"""From the trained model to TorchScript and ONNX, with everything that a caller needs inside."""

from pipeline.workspace.stage import Job, Summary


def run(job: Job) -> Summary:
    """Writes `model.fp32.pt`, `model.fp32.onnx`, `signature.json` and `artifacts.json`.

    Raises UsageError if the model, its outputs or its code do not allow it, saying what is in
    the way.
    """
    from pipeline.export.stage import export

    return export(job)
