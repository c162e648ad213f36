"""What a model file really holds: operators, weights and their types, read from the file itself."""

from pathlib import Path

from pipeline.config.export import Format
from pipeline.errors import DamagedError
from pipeline.formats.facts import DAMAGED_HINT, Facts, Layer, Port
from pipeline.formats.table import FORMATS

__all__ = ["Facts", "Layer", "Port", "read_back"]


def read_back(path: Path, format: Format) -> Facts:
    """The facts of a model file. Raises DamagedError, naming the file, if it cannot be parsed."""
    if not path.is_file():
        raise DamagedError(f"{path} is missing.", DAMAGED_HINT)
    return FORMATS[format].read(path)
