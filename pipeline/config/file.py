"""Reads pipeline.toml and the words of `--set`, and says what is wrong in the words of the file."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pipeline.config import Config, Tolerances, VerifyConfig
from pipeline.errors import UsageError

CONFIG_NAME = "pipeline.toml"


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> Config:
    """Reads a configuration file (or the one in a folder) with `--set key=value` overrides.

    Raises UsageError that names the file and the key.
    """
    path = Path(path)
    file = path / CONFIG_NAME if path.is_dir() else path
    try:
        with file.open("rb") as opened:
            data = tomllib.load(opened)
    except FileNotFoundError:
        raise UsageError(
            f"There is no {file}.", "Make one with: pipeline init DIR   (or name yours: -c FILE)"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}.") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from error
    for override in overrides:
        _override(data, override)
    return parse_config(data, file)


def parse_config(data: Mapping[str, Any], file: Path) -> Config:
    """Checks a configuration that was read from `file`."""
    root = file.parent.resolve()
    if "root" in data:
        raise UsageError(f"{file}: unknown key 'root'.", f"Known: {', '.join(_known(()))}.")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-._") or "model"
    try:
        return Config.model_validate({"name": name[:64], **data, "root": root})
    except ValidationError as error:
        raise _explain(error, file) from None


def _override(data: dict[str, Any], override: str) -> None:
    """Sets `train.epochs=3`. The value is TOML; what is no TOML is taken as a string."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {override}: not of the form key=value.", "--set train.epochs=3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    table: Any = data
    for section in sections:
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {override}: {section} is a value, not a section.")
    table[last] = value


def _explain(error: ValidationError, file: Path) -> UsageError:
    """All that is wrong, one line each, in the words of the file."""
    lines = []
    for detail in error.errors():
        where = [str(part) for part in detail["loc"]]
        key = ".".join(where)
        if detail["type"] == "extra_forbidden":
            known = _known(where[:-1])
            near = difflib.get_close_matches(where[-1], known, 1, 0.5)
            guess = f" Did you mean {near[0]!r}?" if near else f" Known: {', '.join(known)}."
            lines.append(f"unknown key {key!r}.{guess}")
        elif key:
            lines.append(f"{key}: {_lower_first(detail['msg'])}.")
        else:
            lines.append(f"{_lower_first(detail['msg'])}.")
    said = lines[0] if len(lines) == 1 else "\n" + "\n".join(f"  - {line}" for line in lines)
    return UsageError(f"{file}: {said}", "docs/configuration.md describes every key.")


def _lower_first(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _known(sections: Iterable[str]) -> list[str]:
    """The keys of a section, the top level for none."""
    model: type[BaseModel] = Config
    left = iter(sections)
    for section in left:
        field = model.model_fields.get(section)
        inner = field.annotation if field else None
        if get_origin(inner) is dict:  # tables by name
            inner = get_args(inner)[1]
            next(left, None)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return sorted(Tolerances.model_fields) if model is VerifyConfig else []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items() if name != "root"]
