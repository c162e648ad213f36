"""What the user's model and data are made of: files and packages, found without importing them."""

from pathlib import Path

from pipeline.config import Config
from pipeline.config.quantize import is_entry, packages_of_recipes
from pipeline.errors import UsageError
from pipeline.project.entries import ZOOS
from pipeline.system.imports import reached
from pipeline.workspace.artifacts import sha256_of


def source_hashes(config: Config) -> dict[str, str]:
    """SHA-256 of every file of the user's that the model and data are made of, by relative path.

    Found by reading import statements, without importing: Python files under the configuration's
    folder that the entries reach, files of `[model]`, and `[data] depends`.
    """
    entries = [config.model.entry, config.data.entry, config.train.loss, config.output.metric]
    entries += [config.train.optimizer, config.train.scheduler]
    entries += [recipe for recipe in config.quantize.recipes if is_entry(recipe)]
    named = [
        entry_file(entry, config.root)
        for entry in entries
        if entry and ":" in entry and entry.partition(":")[0] not in ZOOS
    ]
    files = reached([file for file in named if file is not None], config.root)
    for file_name in (config.model.weights, config.model.torchscript, config.model.onnx):
        if file_name:
            files.add(config.path(file_name))
    for pattern in config.data.depends:
        matched = [path for path in config.root.glob(pattern) if path.is_file()]
        if not matched:
            raise UsageError(f"data.depends: nothing matches {pattern!r} in {config.root}.")
        files.update(matched)
    present = [path for path in sorted(files) if path.is_file()]
    return {_relative(path, config.root): sha256_of(path) for path in present}


def packages_of(config: Config) -> list[str]:
    """Distributions outside the folder that the entries name, such as timm."""
    entries = [config.model.entry, config.data.entry, config.train.loss, config.output.metric]
    names = set()
    for entry in entries:
        source = (entry or "").rpartition(":")[0]
        top = source.partition(".")[0]
        if top and not source.endswith(".py") and entry_file(f"{source}:x", config.root) is None:
            names.add(top)
    return sorted(names | packages_of_recipes(config.quantize.recipes))


def entry_file(entry: str, root: Path) -> Path | None:
    """The file in the user's folder that an entry names; None for an installed package."""
    source = entry.rpartition(":")[0]
    if source.endswith(".py"):
        return root / source
    path = root.joinpath(*source.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def _relative(path: Path, root: Path) -> str:
    """A path as the records show it: never one of this machine's own."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
