"""The bundle, version 1: what the pipeline hands to programs without Python.

manifest.py   what manifest.json says, as frozen values
codec.py      manifest ⇄ bytes
names.py      which file names are portable
refusal.py    why a bundle is refused: codes and messages
reader.py     open_bundle, Bundle
writer.py     write_file, write_tensor, write_manifest
check.py      what the golden samples say of a runtime
"""

from pipeline.bundle.codec import parse, serialize
from pipeline.bundle.manifest import Manifest
from pipeline.bundle.names import MANIFEST
from pipeline.bundle.reader import Bundle, open_bundle
from pipeline.bundle.refusal import MESSAGES, Refusal, Refused
from pipeline.bundle.writer import write_file, write_manifest, write_tensor

__all__ = [
    "MANIFEST",
    "MESSAGES",
    "Bundle",
    "Manifest",
    "Refusal",
    "Refused",
    "open_bundle",
    "parse",
    "serialize",
    "write_file",
    "write_manifest",
    "write_tensor",
]
