"""Loads an ONNX file piece by piece: beside the model there is never more than one of its weights.

`onnx.load` holds the file and the parsed model at once, twice the model's size.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from onnx import ModelProto
from onnx.external_data_helper import load_external_data_for_model

from pipeline.errors import DamagedError

GRAPH = 7  # field of ModelProto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types of protobuf
FIXED = {FIXED64: 8, FIXED32: 4}


def load_lean(path: Path) -> ModelProto:
    """As `pipeline.formats.onnx.load.load_onnx`. Raises DamagedError if it cannot be read."""
    model = ModelProto()
    try:
        with path.open("rb") as file:
            for number, start, end in _fields(file, path.stat().st_size):
                if number != GRAPH:
                    model.MergeFromString(_read(file, start, end))
                    continue
                _skip_tag(file, start)
                for _, inner_start, inner_end in _fields(file, end):
                    model.graph.MergeFromString(_read(file, inner_start, inner_end))
        load_external_data_for_model(model, str(path.parent))
    except DamagedError:
        raise
    except Exception as error:  # protobuf's own, and whatever a wrong length leads to
        raise DamagedError(f"{path} cannot be read as ONNX: {error}") from error
    return model


def _fields(file: BinaryIO, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, where its tag starts, where it ends) of each field from here to `end`."""
    while (start := file.tell()) < end:
        tag = _varint(file)
        wire = tag & 7
        if wire == LENGTH:
            size = _varint(file)
            after = file.tell() + size
        elif wire == VARINT:
            _varint(file)
            after = file.tell()
        elif wire in FIXED:
            after = file.tell() + FIXED[wire]
        else:
            raise DamagedError(f"{file.name} is no protobuf: wire type {wire}.")
        if after > end:
            raise DamagedError(f"{file.name} is cut off.")
        yield tag >> 3, start, after
        file.seek(after)


def _skip_tag(file: BinaryIO, start: int) -> None:
    """Moves behind the tag and the length of the field at `start`."""
    file.seek(start)
    _varint(file)
    _varint(file)


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = file.read(1)
        if not byte:
            raise DamagedError(f"{file.name} is cut off.")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)
