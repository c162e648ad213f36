"""ONNX files: checked, and the same bytes for the same graph."""

import onnx
from onnx import ModelProto

from pipeline.errors import UsageError
from pipeline.formats.onnx.clean import clean_onnx
from pipeline.formats.onnx.validate import refusal

LIMIT = 2**31 - 1  # bytes of one protobuf message


def onnx_bytes(model: ModelProto, what: str) -> bytes:
    """Cleans (in place) and checks a model, and gives the file: the same graph, the same bytes.

    Raises UsageError if it is larger than one ONNX file can be.
    """
    clean_onnx(model)
    if model.ByteSize() > LIMIT:
        raise UsageError(
            f"{what} has {model.ByteSize() / 2**30:.1f} GiB; one ONNX file holds at most 2 GiB.",
            'Leave ONNX out: [export] formats = ["torchscript"].',
        )
    check_onnx(model, what)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def check_onnx(model: ModelProto, what: str) -> None:
    """onnx.checker's full check, shapes inferred and compared, and what a bundle's runners look for
    beside it. Raises UsageError."""
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{what} fails the ONNX checker: {reason[:400]}",
            "The graph is outside the standard: try another [export] opset or exporter.",
        ) from error
    refused = refusal(model)
    if refused:
        raise UsageError(
            f"{what} is refused by the runners of a bundle: {refused}.",
            "Write it with operators of the standard, or leave ONNX out: "
            '[export] formats = ["torchscript"].',
        )
