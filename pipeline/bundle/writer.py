"""Puts files into a bundle: the same content gives the same folder, whoever writes it."""

import hashlib
import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from pipeline.bundle.codec import MAX_BYTES, serialize
from pipeline.bundle.manifest import File, GoldenTensor, Manifest
from pipeline.bundle.names import MANIFEST, check_name
from pipeline.errors import UsageError

# Whatever the umask: a bundle is read by others than its maker.
FILE_MODE = 0o644
FOLDER_MODE = 0o755


def write_file(folder: Path, name: str, content: bytes) -> File:
    """Writes one file of a bundle, folders included, and gives its entry in the manifest."""
    path = folder / check_name(name)
    for parent in reversed([p for p in path.parents if p == folder or folder in p.parents]):
        parent.mkdir(exist_ok=True)
        parent.chmod(FOLDER_MODE)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(path, flags, FILE_MODE), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), FILE_MODE)
    return File(file=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def write_tensor(folder: Path, name: str, array: NDArray[Any]) -> tuple[GoldenTensor, File]:
    """Raw little-endian numbers in C order."""
    file = write_file(folder, name, array.astype(array.dtype.newbyteorder("<")).tobytes(order="C"))
    tensor = {"file": name, "dtype": array.dtype.name, "shape": array.shape}
    return GoldenTensor.model_validate(tensor), file


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """The last file of a bundle. Raises UsageError if it is larger than readers take."""
    content = serialize(manifest)
    if len(content) > MAX_BYTES:
        raise UsageError(
            f"The manifest has {len(content)} bytes; at most {MAX_BYTES} fit.",
            "Pack fewer golden samples: [package] golden.",
        )
    write_file(folder, MANIFEST, content)
