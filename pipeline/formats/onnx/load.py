"""Opening ONNX files."""

from pathlib import Path

import onnx
from onnx import ModelProto

from pipeline.errors import DamagedError, brief


def load_onnx(path: Path) -> ModelProto:
    """The model with its external data inlined. Raises DamagedError if it cannot be read."""
    try:
        return onnx.load(path)
    except Exception as error:
        raise DamagedError(f"{path} cannot be read as ONNX: {brief(error)}") from error
