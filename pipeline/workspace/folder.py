"""`runs/<name>/`: a folder for each stage, complete or absent, with a record of what made it.

A stage is written to a temporary sibling, flushed to disk and renamed, so that a kill, a full disk
or a power cut never leaves half of it under its name. `record.json` holds the key (a SHA-256 over
everything that the result depends on) and the hash of every file: a stage is fresh while its key
is the same and its files are what they were.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import DamagedError, OutdatedError, SetupError
from pipeline.workspace.artifacts import sha256_of
from pipeline.workspace.results.base import read_if_there, write_result
from pipeline.workspace.results.record import RECORD, Ingredients, Record

State = Literal["fresh", "stale", "missing", "damaged"]


@dataclass(frozen=True)
class StageStatus:
    """The state of one stage, and why it is not fresh."""

    stage: str
    state: State
    why: tuple[str, ...] = ()
    record: Record | None = field(default=None, repr=False)


def key_of(ingredients: Ingredients) -> str:
    """SHA-256 over the canonical JSON."""
    text = json.dumps(ingredients, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Workspace:
    root: Path

    def stage(self, name: str) -> Path:
        return self.root / name

    def scratch(self, name: str, key: str) -> Path:
        """A folder for what outlives an interruption of a run with this key."""
        return self.root / ".scratch" / f"{name}-{key[:16]}"

    def record(self, name: str) -> Record | None:
        """The record of a published stage; None if there is none that can be read."""
        try:
            return read_if_there(self.stage(name) / RECORD, Record)
        except DamagedError:
            return None

    def status(self, name: str, ingredients: Ingredients) -> StageStatus:
        """Whether a stage is what these ingredients make, by hashes alone, never by dates."""
        try:
            record = read_if_there(self.stage(name) / RECORD, Record)
        except OutdatedError:
            return StageStatus(name, "stale", ("another version of this program made it",))
        except DamagedError:
            record = None
        if record is None:
            there = self.stage(name).exists()
            why = (f"{self.stage(name) / RECORD} cannot be read",) if there else ()
            return StageStatus(name, "damaged" if there else "missing", why)
        if record.key != key_of(ingredients):
            changes = tuple(_differences(record.ingredients, ingredients))
            return StageStatus(name, "stale", changes, record)
        broken = self.broken_files(name, record)
        return StageStatus(name, "damaged" if broken else "fresh", tuple(broken), record)

    def broken_files(self, name: str, record: Record) -> list[str]:
        """What is wrong with the files of a stage, a sentence for each."""
        folder = self.stage(name)
        found = set(_files(folder)) - {RECORD}
        wrong = [f"{folder / file} is missing" for file in sorted(record.files.keys() - found)]
        wrong += [
            f"{folder / file} is not what was written"
            for file, digest in sorted(record.files.items())
            if file in found and sha256_of(folder / file) != digest
        ]
        return wrong

    @contextmanager
    def publish(self, name: str) -> "Iterator[Draft]":
        """A folder to write into; it takes the stage's name when the block ends well."""
        draft = Draft(self.root / f".{name}.tmp", time.monotonic())
        with explain_os_errors(self.root):
            _remove(draft.folder)
            draft.folder.mkdir(parents=True)
            try:
                yield draft
                self._seal(name, draft)
            except BaseException:
                _remove(draft.folder)
                raise

    @contextmanager
    def amend(self, name: str) -> "Iterator[Draft]":
        """A copy of a published stage to add to; it takes its place when the block ends well.

        The key stays: what is added did not come of the ingredients, and makes nothing stale but
        the later stages that read it. The caller holds the lock. Raises DamagedError for a stage
        that is missing or not what its record says.
        """
        record = self.record(name)
        if record is None or self.broken_files(name, record):
            raise DamagedError(
                f"{self.stage(name)} is missing or damaged.", f"pipeline {name} makes it again."
            )
        with self.publish(name) as draft:
            for file in record.files:
                (draft.folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.stage(name) / file, draft.folder / file)
            draft.ingredients, draft.summary = record.ingredients, dict(record.summary)
            yield draft

    def _seal(self, name: str, draft: "Draft") -> None:
        record = Record(
            stage=name,
            key=key_of(draft.ingredients),
            ingredients=draft.ingredients,
            files={file: sha256_of(draft.folder / file) for file in _files(draft.folder)},
            summary=draft.summary,
            seconds=round(time.monotonic() - draft.started, 3),
        )
        write_result(draft.folder / RECORD, record)
        _flush(draft.folder)
        final, old = self.stage(name), self.root / f".{name}.old"
        _remove(old)
        if final.exists():
            final.rename(old)
        draft.folder.rename(final)  # a kill just before this line: recover() puts `old` back
        _flush_folder(self.root)
        _remove(old)

    def recover(self) -> None:
        """Clears what a killed run left. Only for the holder of the lock."""
        for leftover in self.root.glob(".*.tmp"):
            _remove(leftover)
        for old in self.root.glob(".*.old"):
            final = self.stage(old.name[1 : -len(".old")])
            if final.exists():
                _remove(old)
            else:
                old.rename(final)

    def drop_scratch(self, name: str) -> None:
        """Removes the scratch folders of a stage that is done, of earlier keys too."""
        for folder in (self.root / ".scratch").glob(f"{name}-*"):
            _remove(folder)

    @contextmanager
    def lock(self, command: str, wait: bool = False) -> Iterator[None]:
        """One writer at a time; the kernel drops the lock of a process that dies.

        Raises SetupError that names the holder, unless `wait`.
        """
        with explain_os_errors(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        with os.fdopen(handle, "r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = file.read().strip() or "another process"
                raise SetupError(
                    f"{self.root} is in use by {holder}.",
                    "Wait for it to end, or run this command with --wait.",
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} ({command})\n")
            file.flush()
            self.recover()
            _locks.add(handle)
            try:
                yield
            finally:
                _locks.discard(handle)


_locks: set[int] = set()


def _let_go() -> None:
    """In a process that was forked: it may outlive one that was killed, and is no holder of its
    lock."""
    for handle in _locks:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, handle)
        os.close(nothing)
    _locks.clear()


os.register_at_fork(after_in_child=_let_go)


@dataclass
class Draft:
    """A stage in the making: where to write, and what goes into its record."""

    folder: Path
    started: float
    ingredients: Ingredients = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)


def digest_of(record: Record, patterns: tuple[str, ...]) -> str:
    """One hash over the files of a stage that match: what a later stage depends on."""
    chosen = {
        file: digest
        for file, digest in record.files.items()
        if any(fnmatch(file, pattern) for pattern in patterns)
    }
    return key_of(chosen)


NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def explain_os_errors(folder: Path) -> Iterator[None]:
    """A full disk or a read-only folder as a SetupError that says which."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        if error.errno in NO_SPACE:
            raise SetupError(
                f"The disk is full: {where} could not be written. What was there before is intact.",
                f"Free some space on the file system of {folder}, then run the command again.",
            ) from error
        if error.errno in NO_RIGHT:
            raise SetupError(
                f"{where} cannot be written: {error.strerror}.",
                "Choose another folder with --workspace DIR, or change the folder's rights.",
            ) from error
        raise


def _files(folder: Path) -> list[str]:
    """Relative paths of all files below a folder, in order."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _flush(folder: Path) -> None:
    """Everything below a folder, and its names, to the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _differences(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """What changed between two ingredients: `config.train.epochs: 3 → 5`."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in sorted({*before, *now}):
            inner = f"{path}.{name}" if path else str(name)
            yield from _differences(before.get(name), now.get(name), inner)
    elif before != now:
        if path.startswith(("inputs.", "sources.", "code")):
            yield f"{path} changed"
        else:
            yield f"{path}: {_short(before)} → {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."
