"""Opening ONNX files."""

from pathlib import Path

import onnx
from onnx import ModelProto

from pipeline.errors import DamagedError, brief
from pipeline.formats.facts import DAMAGED_HINT


def load_onnx(path: Path, *, external_data: bool = True) -> ModelProto:
    """The model, with its external data inlined. Raises DamagedError if it cannot be read."""
    try:
        return onnx.load(path, load_external_data=external_data)
    except Exception as error:  # protobuf's DecodeError, OSError and ValueError among them
        message = f"{path} is not a readable ONNX file: {brief(error)}."
        raise DamagedError(message, DAMAGED_HINT) from error
