"""Opens a bundle that may have been made, changed or damaged by anybody.

No link is followed and nothing but plain files is opened, so a bundle can neither reach outside of
its folder nor make a reader hang.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.bundle.codec import MAX_BYTES, parse_sealed
from pipeline.bundle.manifest import Artifact, File, GoldenTensor, Manifest
from pipeline.bundle.names import MANIFEST, MAX_FILES, check_name, check_names
from pipeline.bundle.refusal import Refusal, Refused
from pipeline.errors import SetupError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Bundle:
    """An opened bundle. `digest` names its content: two bundles with the same one are the same."""

    path: Path
    manifest: Manifest
    digest: str

    def load(self, name: str) -> bytes:
        """A file's content, hashed: what is returned is the very buffer that was checked.

        Raises Refused if the file is not what the manifest says, UsageError if it lists no `name`.
        """
        entry = self.manifest.listed.get(name)
        if entry is None:
            raise UsageError(f"{self.path} has no file {name!r}.")
        with _opened_folder(self.path) as root, _opened_file(root, name) as file:
            content = _read(file, name, entry.bytes)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise Refused(Refusal.WRONG_HASH, name)
        return content

    def array(self, tensor: GoldenTensor) -> "NDArray[Any]":
        """The numbers of a golden file, checked as by `load`; read-only."""
        import numpy as np

        dtype = np.dtype(tensor.dtype).newbyteorder("<")
        numbers = np.frombuffer(self.load(tensor.file), dtype)
        return numbers.astype(tensor.dtype, copy=False).reshape(tensor.shape)

    def artifact(self, artifact_id: str) -> Artifact:
        """Raises UsageError if the bundle has no artifact of that id."""
        for artifact in self.manifest.artifacts:
            if artifact.id == artifact_id:
                return artifact
        known = ", ".join(artifact.id for artifact in self.manifest.artifacts)
        raise UsageError(f"{self.path} has no artifact {artifact_id!r}.", f"It has {known}.")


def open_bundle(path: Path | str, check: bool = True) -> Bundle:
    """Reads a bundle's manifest and proves that the folder is what it says.

    `check=False` leaves the hashes to `Bundle.load`; names, kinds and sizes are always checked.
    Raises Refused with a stable code, UsageError if there is no such folder, SetupError if it
    cannot be read.
    """
    path = Path(path)
    with _opened_folder(path) as root:
        tree = _Tree()
        _walk(root, "", tree)
        check_names(tree.sizes)
        if MANIFEST not in tree.sizes:
            raise Refused(Refusal.NOT_A_BUNDLE, path.name, f"it has no {MANIFEST}")
        manifest, digest = parse_sealed(_read_manifest(root))
        _compare(manifest, tree)
        if check:
            for entry in manifest.entries:
                _check_hash(root, entry)
    return Bundle(path, manifest, digest)


@dataclass
class _Tree:
    """What lies in a folder: bytes by file, and the folders."""

    sizes: dict[str, int] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)


def _walk(folder: int, prefix: str, tree: _Tree) -> None:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in islice(entries, MAX_FILES + 1))
    for name in names:
        path = check_name(f"{prefix}{name}")
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            tree.folders.append(path)
            with _descended(folder, name, path) as inner:
                _walk(inner, f"{path}/", tree)
        else:
            _check_plain(status, path)
            tree.sizes[path] = status.st_size
        if len(tree.sizes) + len(tree.folders) > MAX_FILES:
            raise Refused(Refusal.TOO_MANY_FILES, "The bundle", MAX_FILES)


def _check_plain(status: os.stat_result, path: str) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise Refused(Refusal.LINK, path)
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise Refused(Refusal.NOT_A_FILE, path, what)
    if status.st_nlink != 1:
        raise Refused(Refusal.HARD_LINK, path, status.st_nlink)


def _compare(manifest: Manifest, tree: _Tree) -> None:
    """The folder against the list, without reading a file."""
    listed = manifest.listed
    for name in listed:
        if name in tree.folders:
            raise Refused(Refusal.NOT_A_FILE, name, "a folder")
    for name in tree.sizes:
        if name not in listed and name != MANIFEST:
            raise Refused(Refusal.UNLISTED_FILE, name)
    for name, entry in listed.items():
        if name not in tree.sizes:
            raise Refused(Refusal.MISSING_FILE, name)
        if tree.sizes[name] != entry.bytes:
            detail = f"{tree.sizes[name]} bytes, not {entry.bytes}"
            raise Refused(Refusal.WRONG_SIZE, name, detail)
    for folder in tree.folders:
        if not any(name.startswith(f"{folder}/") for name in listed):
            raise Refused(Refusal.EMPTY_FOLDER, folder)


def _check_hash(root: int, entry: Artifact | File) -> None:
    with _opened_file(root, entry.file) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
            raise Refused(Refusal.WRONG_HASH, entry.file)


def _read_manifest(root: int) -> bytes:
    with _opened_file(root, MANIFEST) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise Refused(Refusal.MANIFEST_TOO_LARGE, MANIFEST, size)
        return _read(file, MANIFEST, size)


def _read(file: BufferedReader, name: str, size: int) -> bytes:
    """Exactly `size` bytes, without making room for more than the file has."""
    there = os.fstat(file.fileno()).st_size
    content = file.read() if there == size else b""
    if there != size or len(content) != size:
        raise Refused(Refusal.WRONG_SIZE, name, f"{there} bytes, not {size}")
    return content


@contextmanager
def _opened_folder(path: Path) -> Iterator[int]:
    """The bundle's own folder, which the caller named and which may be reached by a link."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UsageError(
            f"There is no bundle {path}.",
            "pipeline run makes one: runs/NAME/package/NAME.bundle beside the configuration.",
        ) from None
    except NotADirectoryError:
        raise Refused(Refusal.NOT_A_BUNDLE, path.name, "it is no folder") from None
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def _descended(folder: int, name: str, path: str) -> Iterator[int]:
    inner = _open(name, path, os.O_DIRECTORY, folder)
    try:
        yield inner
    finally:
        os.close(inner)


@contextmanager
def _opened_file(root: int, path: str) -> Iterator[BufferedReader]:
    """A plain file below `root`, opened one folder after the other."""
    *folders, name = path.split("/")
    with ExitStack() as stack:
        folder = root
        for segment in folders:
            folder = stack.enter_context(_descended(folder, segment, path))
        # O_NONBLOCK: a pipe without a writer would block for ever before it could be refused.
        file = os.fdopen(_open(name, path, os.O_NONBLOCK, folder), "rb")
        stack.enter_context(file)
        _check_plain(os.fstat(file.fileno()), path)
        yield file


def _open(name: str, path: str, flags: int, folder: int) -> int:
    """What stood there when the folder was listed may be another thing by now."""
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    except FileNotFoundError:
        raise Refused(Refusal.MISSING_FILE, path) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused(Refusal.LINK, path) from None
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from error
