"""What the models of results share: strict reading, and the same bytes for the same data."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import DamagedError, OutdatedError
from pipeline.workspace.artifacts import write_json

AGAIN = "Run the stage again with --force."


class Result(BaseModel):
    """A value that does not change. A key that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_json(self) -> dict[str, Any]:
        """Floats in full; a number that is not finite, which JSON has no word for, is null."""
        data: dict[str, Any] = json.loads(self.model_dump_json())
        return data


AnyResult = TypeVar("AnyResult", bound=Result)


def write_result(path: Path, result: Result) -> None:
    """UTF-8, sorted keys, full floats."""
    write_json(path, result.to_json())


def read_result(path: Path, model: type[AnyResult]) -> AnyResult:
    """Raises DamagedError for a file that is missing or not JSON, and OutdatedError, which names
    the key, for JSON that is not the model's: another version of this program has written it."""
    try:
        return model.model_validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing.", AGAIN) from None
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        says = fault["msg"][:1].lower() + fault["msg"][1:]
        if fault["type"] == "json_invalid":
            raise DamagedError(f"{path} is not valid JSON: {says}.", AGAIN) from None
        key = ".".join(map(str, fault["loc"])) or "the whole"
        raise OutdatedError(
            f"{path} is of another version of this program: {key}: {says}.", AGAIN
        ) from None


def read_if_there(path: Path, model: type[AnyResult]) -> AnyResult | None:
    """None for a file that is not there; raises as `read_result` otherwise."""
    return read_result(path, model) if path.is_file() else None
