"""What a model file really holds: operators, weights and their types, read from the file itself."""

from pathlib import Path

from pipeline.errors import DamagedError
from pipeline.formats.facts import DAMAGED_HINT, Facts, Layer, Port
from pipeline.workspace.artifacts import Format

__all__ = ["Facts", "Layer", "Port", "read_back"]


def read_back(path: Path, format: Format) -> Facts:
    """The facts of a model file. Raises DamagedError, naming the file, if it cannot be parsed."""
    if not path.is_file():
        raise DamagedError(f"{path} is missing.", DAMAGED_HINT)
    if format == "onnx":
        from pipeline.formats.onnx.facts import read_onnx

        return read_onnx(path)
    from pipeline.formats.torchscript.facts import read_torchscript

    return read_torchscript(path)
