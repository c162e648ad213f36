"""Checkpoints: a folder each, whole or absent, read without running pickled code.

00002-00000016/      epochs finished, batches done in the next one
  tensors.safetensors
  shards/            of a sharded model: torch.distributed.checkpoint's files, a process each
  state.json         everything else, and the SHA-256 of all files
"""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from pipeline.errors import DamagedError, SetupError, UsageError
from pipeline.workspace.folder import NO_SPACE

TENSORS = "tensors.safetensors"
STATE = "state.json"
SHARDS = "shards"
VERSION = 2


def name_of(epoch: int, batch: int) -> str:
    """Names sort as the training went."""
    return f"{epoch:05d}-{batch:08d}"


@dataclass(frozen=True)
class Snapshot:
    """A copy of a moment, as it goes to the disk. `needs` names other checkpoints that it needs."""

    tensors: dict[str, Tensor]
    plain: Any
    needs: list[str]


def snapshot(state: dict[str, Any], needs: Iterable[str] = ()) -> Snapshot:
    """Copies `state`: tensors, numbers, strings, lists, tuples, dicts.

    Raises UsageError for anything else.
    """
    tensors: dict[str, Tensor] = {}
    return Snapshot(tensors, _encode(state, "", tensors), sorted(needs))


def draft_of(folder: Path, name: str) -> Path:
    """Where a checkpoint is written before it has its name."""
    return folder / f".{name}.tmp"


def clear_draft(folder: Path, name: str) -> None:
    """Removes what a killed process left of it."""
    shutil.rmtree(draft_of(folder, name), ignore_errors=True)
    draft_of(folder, name).mkdir(parents=True)


def write(folder: Path, name: str, moment: Snapshot, shards: Mapping[str, str] = {}) -> None:
    """Writes a snapshot as `folder/name`.

    `shards` are the hashes of files that lie in its draft already, below `SHARDS`. A crash at any
    moment leaves either all of it or nothing under that name. Raises SetupError if it cannot be
    written; earlier checkpoints stay.
    """
    final, temporary = folder / name, draft_of(folder, name)
    if final.is_dir():
        shutil.rmtree(temporary, ignore_errors=True)
        return  # this very moment is saved already
    blob = save_tensors(moment.tensors)
    content = {
        "version": VERSION,
        "needs": moment.needs,
        "shards": dict(shards),
        "tensors_sha256": hashlib.sha256(blob).hexdigest(),
        "state": moment.plain,
    }
    head = {"content": content, "sha256": _digest(content)}
    with writing(folder):
        try:
            if not shards:
                clear_draft(folder, name)
            _write_synced(temporary / TENSORS, blob)
            _write_synced(temporary / STATE, json.dumps(head, sort_keys=True).encode())
            if shards:
                _sync(temporary / SHARDS)
            _sync(temporary)
            temporary.rename(final)
            _sync(folder)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def save(folder: Path, name: str, state: dict[str, Any], needs: Iterable[str] = ()) -> None:
    """`snapshot` and `write` at once."""
    write(folder, name, snapshot(state, needs))


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, tensors on the CPU. Raises DamagedError if one bit of it is another."""
    try:
        head = json.loads((path / STATE).read_bytes())
        blob = (path / TENSORS).read_bytes()
        content = head["content"]
        if head["sha256"] != _digest(content):
            raise DamagedError(f"{path / STATE} is not what was written.")
        if content["version"] != VERSION:
            raise DamagedError(f"The checkpoint {path} is from another version of the pipeline.")
        if content["tensors_sha256"] != hashlib.sha256(blob).hexdigest():
            raise DamagedError(f"{path / TENSORS} is not what was written.")
        _check_shards(path / SHARDS, content["shards"])
        # Clones are aligned as torch aligns, and let go of the file's bytes.
        tensors = {name: tensor.clone() for name, tensor in load_tensors(blob).items()}
        state: dict[str, Any] = _decode(content["state"], tensors)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DamagedError(f"The checkpoint {path} cannot be read: {error}.") from error
    return state


def _check_shards(folder: Path, hashes: Mapping[str, str]) -> None:
    for name, digest in hashes.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise DamagedError(f"{folder / name} is not what was written.")


def needs(path: Path) -> list[str]:
    """The other checkpoints that one needs, by name, without reading its tensors."""
    try:
        names: list[str] = json.loads((path / STATE).read_bytes())["content"]["needs"]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # it is found damaged, and said, when it is to be used
    return names


def newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if not p.name.startswith(".")), reverse=True)


def keep_only(folder: Path, names: Iterable[str]) -> None:
    """Removes every other checkpoint, and what a killed process left half-written."""
    kept = set(names)
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in kept:
            remove(path)


def retire(folder: Path, newest: str, keep: int) -> None:
    """Keeps a checkpoint, `keep` - 1 before it, and those of the best epochs that these know of."""
    kept = {newest, *needs(folder / newest)}
    before = [path for path in newest_first(folder) if path.name < newest]
    for path in before[: keep - 1]:
        kept |= {path.name, *needs(path)}
    with writing(folder):
        keep_only(folder, kept)


def remove(path: Path) -> None:
    """Takes it from its name first: what is half-removed is no checkpoint."""
    hidden = path.with_name(f".{path.name.lstrip('.')}.old")
    shutil.rmtree(hidden, ignore_errors=True)
    path.rename(hidden)
    shutil.rmtree(hidden)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns the operating system's refusal to write into a SetupError."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise SetupError(
                f"The disk is full: {folder} could not be written. {_what_is_left(folder)}",
                "Make room, then run the same command again.",
            ) from error
        raise SetupError(
            f"{folder} could not be written: {error.strerror or error}. {_what_is_left(folder)}",
            "Make the folder writable for you, then run the same command again.",
        ) from error


def _what_is_left(folder: Path) -> str:
    for path in newest_first(folder):
        epochs, batches = (int(number) for number in path.name.split("-"))
        return f"The checkpoint before it is intact: {epochs} epochs and {batches} batches."
    return "There is no checkpoint before it."


def _encode(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """JSON for `value`; tensors go into `tensors`, and their names stand in their places."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if torch.is_tensor(value):
        name = f"{len(tensors)}:{path}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"$tensor": name}
    if isinstance(value, list | tuple):
        items = [_encode(v, f"{path}/{i}", tensors) for i, v in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, dict):
        pairs = [[k, _encode(v, f"{path}/{k}", tensors)] for k, v in value.items()]
        if any(not isinstance(key, str | int) or isinstance(key, bool) for key, _ in pairs):
            raise _unsaveable(path, value)
        return {"$counter" if isinstance(value, Counter) else "$dict": pairs}
    if isinstance(value, np.generic):
        return {"$numpy": [value.dtype.str, value.item()]}
    raise _unsaveable(path, value)


def _decode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "$tensor":
        return tensors[content]
    if kind == "$tuple":
        return tuple(_decode(item, tensors) for item in content)
    if kind == "$numpy":
        dtype, number = content
        return np.dtype(dtype).type(number)
    pairs = {key: _decode(item, tensors) for key, item in content}
    return Counter(pairs) if kind == "$counter" else pairs


def _unsaveable(path: str, value: object) -> UsageError:
    return UsageError(
        f"A checkpoint cannot hold {path.strip('/')}, a {type(value).__name__}.",
        "state_dict of an optimizer or scheduler gives tensors, numbers, strings, lists, dicts.",
    )


def _digest(plain: Any) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
