"""The formats that a model is exported to, a row each."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config.export import Format

if TYPE_CHECKING:
    from pipeline.formats.facts import Facts


@dataclass(frozen=True)
class FileFormat:
    """`suffix` of its files; `backend` is what `edge-runner` runs them with; `facts` is where the
    function stands that reads them back (`package.module:function`), so that the table costs no
    import."""

    name: Format
    suffix: str
    backend: str
    facts: str

    def read(self, path: Path) -> "Facts":
        """Raises DamagedError, naming the file, if it cannot be parsed."""
        module, _, name = self.facts.partition(":")
        function: Callable[[Path], Facts] = getattr(importlib.import_module(module), name)
        return function(path)


# In the order in which they are exported, asked and shown.
FORMATS: dict[Format, FileFormat] = {
    row.name: row
    for row in (
        FileFormat(
            "torchscript", ".pt", "libtorch", "pipeline.formats.torchscript.facts:read_torchscript"
        ),
        FileFormat("onnx", ".onnx", "onnxruntime", "pipeline.formats.onnx.facts:read_onnx"),
    )
}
