"""The files that `export` and `quantize` make, and that every later stage reads."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.config.export import Format
from pipeline.errors import DamagedError
from pipeline.formats.table import FORMATS
from pipeline.graph.signature import Signature

Precision = Literal["fp32", "fp16", "int8", "int4"]

INDEX = "artifacts.json"  # the list of a stage's artifacts, beside them
SIGNATURE = "signature.json"  # what they take and give, written by export


@dataclass(frozen=True)
class Artifact:
    """One exported model file.

    `id` is unique in a workspace (`onnx-int8-static`); `recipe` is None for what export made.
    `version` is the ONNX opset or the TorchScript file version. `made_for` is the CPU that the
    numbers were chosen for (`x86_64`, `arm64`), or `any`. `operators` counts what the graph is
    made of, read back from the file.
    """

    id: str
    format: Format
    precision: Precision
    recipe: str | None
    file: str
    bytes: int
    sha256: str
    version: int
    made_for: str = "any"
    operators: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


def artifact_id(format: Format, recipe: str) -> str:
    """`onnx-fp32`, `torchscript-int8-static`."""
    return f"{format}-{recipe}"


def file_name(format: Format, recipe: str) -> str:
    """`model.fp32.onnx`, `model.int8-static.pt`."""
    return f"model.{recipe}{FORMATS[format].suffix}"


def sha256_of(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_index(folder: Path, artifacts: Iterable[Artifact]) -> None:
    write_json(folder / INDEX, [asdict(artifact) for artifact in artifacts])


def read_index(folder: Path) -> list[Artifact]:
    try:
        return [Artifact(**item) for item in read_json(folder / INDEX)]
    except TypeError as error:
        raise DamagedError(f"{folder / INDEX} is malformed: {error}.") from error


def read_signature(folder: Path) -> Signature:
    """The signature that export wrote into its folder."""
    return Signature.from_json(read_json(folder / SIGNATURE))


def write_json(path: Path, data: Any) -> None:
    """UTF-8, sorted keys, full float precision: the same data, the same bytes."""
    text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DamagedError(f"{path} is missing.", "Run the stage again with --force.") from None
    except ValueError as error:
        raise DamagedError(
            f"{path} is not valid JSON: {error}.", "Run the stage again with --force."
        ) from None
