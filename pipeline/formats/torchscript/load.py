"""The one door to torch.jit.load."""

import io
import warnings
from pathlib import Path
from typing import Any

import torch

from pipeline.formats.torchscript.validate import read_archive
from pipeline.formats.torchscript.write import archive_bytes


def load_script(path: Path) -> torch.jit.ScriptModule:
    """A TorchScript file on the CPU. The only place that calls torch.jit.load: what has not been
    read as data before, and found to do nothing but compute, is not loaded.

    Raises DamagedError for what is no TorchScript file, UnsafeModelError (which is one, too) for
    one that may do more, what torch raises where it does not take it.
    """
    archive = read_archive(path)
    archive.check()
    source: Any = path
    if not archive.plain:
        source = io.BytesIO(archive_bytes(archive.needed(), archive.version))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit\.load. is deprecated")
        module: torch.jit.ScriptModule = torch.jit.load(source, map_location="cpu")  # type: ignore[no-untyped-call]
    return module
