"""`pipeline init`: a commented configuration and a model file that run at once."""

import json
from importlib import resources
from pathlib import Path

from pipeline.config import PORTABLE
from pipeline.config.file import CONFIG_NAME
from pipeline.errors import SetupError, UsageError

FILES = (CONFIG_NAME, "model.py")


def write_project(folder: Path, name: str | None, force: bool = False) -> list[Path]:
    """Writes the files of a new project and returns their paths.

    `name` is the bundle's; without one the configuration takes the folder's. Raises UsageError for
    a name that is no file name, a folder that is a file, or, without `force`, a file that is
    there already: then nothing is written. Raises SetupError if the folder cannot be written.
    """
    if name is not None and not PORTABLE.match(name):
        raise UsageError(
            f"{name!r} cannot be the name of a bundle.",
            "Letters, digits, '.', '_' and '-' only, at most 64: --name my-model",
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder.")
    paths = [folder / file for file in FILES]
    present = [path for path in paths if path.exists()]
    if present and not force:
        raise UsageError(
            f"{', '.join(map(str, present))} {'exists' if len(present) == 1 else 'exist'} already.",
            "Choose another folder, or overwrite with --force.",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            _write(path, _content(path.name, name))
    except OSError as error:
        raise SetupError(f"{folder} cannot be written: {error.strerror}.") from error
    return paths


def _content(file: str, name: str | None) -> str:
    text = (resources.files("pipeline.project") / "templates" / file).read_text(encoding="utf-8")
    if file == CONFIG_NAME and name is not None:
        line = f"name = {json.dumps(name)}"
        text = text.replace('#name = "my-model"', line.ljust(len('#name = "my-model"')))
    return text


def _write(path: Path, text: str) -> None:
    """Under its final name a file is whole or not there."""
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
