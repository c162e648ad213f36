"""Takes a PyTorch model to where there is no Python, and proves that it answers the same there.

    from pipeline import load_config, run

    config = load_config("my-model")        # my-model/pipeline.toml
    for stage in run(config):               # what `pipeline run` does
        print(stage.stage, "made" if stage.made else "fresh")

What stands in `__all__` is the library: docs/python.md describes it, and it changes only as the
changelog says. Everything else is this program's own and may change with any release.
"""

import importlib
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# ONNX Runtime's wheels collect telemetry: a log in the temporary folder, an id in the home folder,
# a look-up of its maker's host. It asks this variable when its library is loaded, and what it has
# begun by then no call ends. So it is set here, before any module of this package can import it;
# processes that are started inherit it. Whatever it was before: nothing that runs models for this
# program calls home.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from pipeline.bundle import Bundle, open_bundle
    from pipeline.config import Config
    from pipeline.config.file import load_config
    from pipeline.errors import (
        DamagedError,
        Interrupted,
        OutdatedError,
        PipelineError,
        SetupError,
        UnsafeModelError,
        UsageError,
        VerdictError,
    )
    from pipeline.quantize.recipes import Quantized, Recipe, Task
    from pipeline.report.inspection import inspect
    from pipeline.run import StageResult, run, status, verdict_of
    from pipeline.system.progress import Reporter, Silent
    from pipeline.workspace.folder import StageStatus, Workspace
    from pipeline.workspace.results.verdict import Verdict

__all__ = [
    "Bundle",
    "Config",
    "DamagedError",
    "Interrupted",
    "OutdatedError",
    "PipelineError",
    "Quantized",
    "Recipe",
    "Reporter",
    "SetupError",
    "Silent",
    "StageResult",
    "StageStatus",
    "Task",
    "UnsafeModelError",
    "UsageError",
    "Verdict",
    "VerdictError",
    "Workspace",
    "__version__",
    "inspect",
    "load_config",
    "open_bundle",
    "run",
    "status",
    "verdict_of",
]

_MODULES = {
    "pipeline.bundle": ("Bundle", "open_bundle"),
    "pipeline.config": ("Config",),
    "pipeline.config.file": ("load_config",),
    "pipeline.errors": (
        *("DamagedError", "Interrupted", "OutdatedError", "PipelineError", "SetupError"),
        *("UnsafeModelError", "UsageError", "VerdictError"),
    ),
    "pipeline.quantize.recipes": ("Quantized", "Recipe", "Task"),
    "pipeline.report.inspection": ("inspect",),
    "pipeline.run": ("StageResult", "run", "status", "verdict_of"),
    "pipeline.system.progress": ("Reporter", "Silent"),
    "pipeline.workspace.folder": ("StageStatus", "Workspace"),
    "pipeline.workspace.results.verdict": ("Verdict",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for: `import pipeline` loads nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """`pipeline.run` is the function: importing the module of that name does not replace it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "run":
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
