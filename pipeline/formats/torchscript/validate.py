"""May a TorchScript archive be loaded? From the outside in: the zip's structure, which records
there are, the code, the pickles with the tensors that they describe."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import DamagedError, SetupError, UnsafeModelError
from pipeline.formats.torchscript.archive import (
    Record,
    Unsafe,
    content,
    quoted,
    read_records,
    refuse,
)
from pipeline.formats.torchscript.code import check_operators, definitions_of, is_defined
from pipeline.formats.torchscript.pickles import Value, World, read_pickle
from pipeline.formats.torchscript.tokens import Token, tokens_of

VERSIONS = (b"version", b".data/version")
"""Since version 6, which newer operators such as gelu ask for, it stands in the hidden folder."""

WRITER_MAKES = (*VERSIONS, b".data/serialization_id")
"""Records that torch's writer makes by itself."""

_MAX_CODE = 1 << 26  # bytes in all; timm's largest has 440 KB
_NUMBER = rb"[0-9]{1,9}"
_CODE_SEGMENT = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
_STORAGE = re.compile(rb"(?:data|constants)/" + _NUMBER)
# What torch.jit.save adds and nothing needs: where the code came from, what a trace was made with,
# and files of the caller's. It is read by nobody here, and left out of what is loaded.
_LITTER = re.compile(rb".*\.debug_pkl|extra/.*|traced_inputs.*")
_HINT = (
    "A TorchScript file is a program. If you trust whoever made it, have it exported again "
    "with operators that only compute."
)


@dataclass(frozen=True)
class Archive:
    """What an archive holds, read as data.

    `code` is the text by file ("code/__torch__/net.py"), `tokens` the same cut up; `module` and
    `constants` are what the pickles describe; `litter` are records that nobody needs.
    """

    path: Path
    version: int
    records: Mapping[bytes, Record]
    code: Mapping[bytes, bytes]
    tokens: Mapping[bytes, list[Token]]
    definitions: frozenset[str]
    module: Value
    constants: Value
    litter: tuple[bytes, ...]

    def unsafe(self) -> str | None:
        """Why it must not be loaded: an operator that does more than compute, or a way round."""
        try:
            check_operators(self.tokens, self.definitions)
        except Unsafe as error:
            return str(error)
        return None

    def check(self) -> None:
        """Raises UnsafeModelError, naming the file and the line of its code."""
        why = self.unsafe()
        if why is not None:
            raise UnsafeModelError(f"{self.path} is not loaded: {why}", _HINT)

    @property
    def plain(self) -> bool:
        """Nothing to leave out or to unpack: what the C++ runner takes as well."""
        return not self.litter and all(record.stored for record in self.records.values())

    def needed(self) -> dict[str, bytes]:
        """The records without litter, version and what the writer makes itself."""
        made = (*WRITER_MAKES, *self.litter)
        with self.path.open("rb") as file:
            return {
                name.decode("ascii"): content(file, record)
                for name, record in self.records.items()
                if name not in made
            }


def read_archive(path: Path) -> Archive:
    """Raises SetupError for what cannot be read, DamagedError for what is no TorchScript archive,
    is broken, or built otherwise than torch builds it."""
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except Unsafe as error:
        raise DamagedError(
            f"{path} is not a readable TorchScript file: {error}",
            "Make the file again with torch.jit.save: whatever wrote it did not finish, or it was "
            "changed since.",
        ) from error
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from error


def _read(path: Path, file: BinaryIO) -> Archive:
    listed = read_records(file)
    records = {record.name: record for record in listed}
    litter = tuple(name for name in records if _LITTER.fullmatch(name))
    code = {name: content(file, records[name]) for name in _code_names(records)}
    if sum(map(len, code.values())) > _MAX_CODE:
        refuse("it has more than 64 MiB of code")
    version = 0
    for name, record in records.items():
        if name in code or name in litter or _is_pickle(name) or _STORAGE.fullmatch(name):
            continue
        small = _small(file, record)
        version = small if small is not None else version
    if not any(name in records for name in VERSIONS):
        refuse("it has no version")
    tokens = {name: tokens_of(name, text) for name, text in code.items()}
    definitions = definitions_of(tokens)
    used: set[bytes] = set()
    pickles = {
        part: _pickle(file, part, records, definitions, used) for part in ("constants", "data")
    }
    for name in records:
        if _STORAGE.fullmatch(name) and name not in used:
            refuse(f"{quoted(name)} is used by nothing")
    return Archive(
        path=path,
        version=version,
        records=records,
        code=code,
        tokens=tokens,
        definitions=definitions,
        module=pickles["data"],
        constants=pickles["constants"],
        litter=litter,
    )


def _is_pickle(name: bytes) -> bool:
    return name in (b"data.pkl", b"constants.pkl")


def _code_names(records: Mapping[bytes, Record]) -> Iterator[bytes]:
    """code/__torch__/torch/nn/modules/conv.py"""
    for name in records:
        if name.startswith(b"code/__torch__") and name.endswith(b".py"):
            segments = name.removeprefix(b"code/").removesuffix(b".py").split(b"/")
            if all(_CODE_SEGMENT.fullmatch(segment) for segment in segments):
                yield name


def _small(file: BinaryIO, record: Record) -> int | None:
    """What stands beside code, pickles and storages, and must say just this; a version's number."""
    name, data = record.name, content(file, record) if record.size <= 64 else b""
    if name == b"byteorder":
        if data != b"little":
            refuse("its byte order is not little-endian")
    elif name in VERSIONS:
        if not re.fullmatch(_NUMBER + rb"\n", data):
            refuse("its version is not a number")
        return int(data)
    elif name == b".data/serialization_id":
        if record.size > 64 or not re.fullmatch(rb"[0-9]*", data):
            refuse("its serialization_id is not a number")
    else:
        refuse(f"it has the record {quoted(name)}, which is not allowed")
    return None


def _pickle(
    file: BinaryIO,
    part: str,
    records: Mapping[bytes, Record],
    definitions: frozenset[str],
    used: set[bytes],
) -> Value:
    """The pickle of a part, whose storages lie in a folder of its name. Adds those that it uses."""
    name = f"{part}.pkl"
    if name.encode() not in records:
        refuse(f"it has no {name}")

    def storage(key: bytes) -> int | None:
        record = part.encode() + b"/" + key
        if not re.fullmatch(_NUMBER, key) or record not in records:
            return None
        used.add(record)
        return records[record].size

    world = World(storage, lambda type_: is_defined(type_, definitions))
    return read_pickle(name, content(file, records[name.encode()]), world)
