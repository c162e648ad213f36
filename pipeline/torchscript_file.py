"""TorchScript archives that say nothing about the machine or the process that made them.

What torch writes also holds `.debug_pkl` (absolute paths of sources) and `traced_inputs`, and the
classes inside carry numbers (`___torch_mangle_7`) that count what the process compiled before.
`save_clean` leaves the former out and renumbers the latter: the same module, the same bytes.
"""

import io
import re
import warnings
from pathlib import Path

import torch

# A qualified name in code (`__torch__.torch.nn.modules.conv.___torch_mangle_3.Conv2d`).
_CODE_NAME = re.compile(rb"__torch__(?:\.[A-Za-z_]\w*)+")
# The same as a pickle's GLOBAL opcode: `c`, module, newline, name, newline.
_PICKLE_NAME = re.compile(rb"c(__torch__(?:\.[A-Za-z_]\w*)*)\n([A-Za-z_]\w*)\n")
_MANGLE = re.compile(rb"\.___torch_mangle_\d+")
_BLOCK = re.compile(rb"^(?:class|def) (\w+)", re.MULTILINE)
# Constants of a class come out of a Python set, whose order changes with every process.
_CONSTANTS = re.compile(rb"(?:^  \w+ : Final\[.*\n)+", re.MULTILINE)

# Since version 6, which newer operators such as gelu ask for, it stands in the hidden folder.
_VERSIONS = ("version", ".data/version")
_DROPPED = (*_VERSIONS, ".data/serialization_id")  # the writer makes these itself


def load_script(path: Path) -> torch.jit.ScriptModule:
    """A TorchScript file on the CPU. Raises what torch raises where it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "torch.jit.load is deprecated"
        module: torch.jit.ScriptModule = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return module


def save_clean(module: torch.jit.ScriptModule) -> bytes:
    """The archive that `torch.jit.load` and LibTorch read; deterministic, in memory.

    In memory because torch's own writer aborts the process on a full disk.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "torch.jit.save is deprecated"
        torch.jit.save(module, buffer)
    buffer.seek(0)
    reader = torch._C.PyTorchFileReader(buffer)
    records = {
        name: reader.get_record(name)
        for name in reader.get_all_records()
        if not name.endswith(".debug_pkl")
        and not name.startswith("traced_inputs")
        and name not in _DROPPED
    }
    (version,) = set(_VERSIONS).intersection(reader.get_all_records())
    return _write(_renumbered(records), int(reader.get_record(version)))


def _write(records: dict[str, bytes], version: int) -> bytes:
    """torch's zip layout: stored, every record aligned to 64 bytes."""
    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    writer.set_min_version(version)
    for name, data in records.items():
        writer.write_record(name, data, len(data))
    writer.write_end_of_file()
    return buffer.getvalue()


def _renumbered(records: dict[str, bytes]) -> dict[str, bytes]:
    """Renames classes and functions: the first of a name is plain, the next `___torch_mangle_1`.

    Counted in the order in which the archive mentions them, which follows the module tree.
    """
    new_names: dict[bytes, bytes] = {}
    used: dict[bytes, int] = {}

    def renamed(name: bytes) -> bytes:
        if name not in new_names:
            base = _MANGLE.sub(b"", name)
            index = used.get(base, 0)
            used[base] = index + 1
            prefix, _, last = base.rpartition(b".")
            new_names[name] = b"%s.___torch_mangle_%d.%s" % (prefix, index, last) if index else base
        return new_names[name]

    def in_pickle(match: re.Match[bytes]) -> bytes:
        prefix, _, last = renamed(b".".join(match.groups())).rpartition(b".")
        return b"c%s\n%s\n" % (prefix, last)

    files: dict[str, bytes] = {}
    for record, data in sorted(records.items(), key=lambda item: not item[0].endswith(".pkl")):
        if record.endswith(".pkl"):
            files[record] = _PICKLE_NAME.sub(in_pickle, data)
        elif record.startswith("code/"):
            prefix = record.removeprefix("code/").removesuffix(".py").replace("/", ".").encode()
            blocks = _blocks(data)
            if not blocks:  # classes of torch's own, such as packed int8 weights, have no code
                files[record] = data
            for name, source in blocks:
                module = renamed(prefix + b"." + name).rpartition(b".")[0].decode()
                file = f"code/{module.replace('.', '/')}.py"
                text = _CODE_NAME.sub(lambda match: renamed(match.group()), source)
                files[file] = files.get(file, b"") + text
        else:
            files[record] = data
    return {name: files[name] for name in sorted(files, key=_storages_first)}


def _storages_first(name: str) -> tuple[bool, str]:
    return not name.startswith("data/"), name


def _blocks(source: bytes) -> list[tuple[bytes, bytes]]:
    """(name, text) of the top-level classes and functions of a code file."""
    starts = list(_BLOCK.finditer(source))
    ends = [*(match.start() for match in starts[1:]), len(source)] if starts else []
    return [
        (match.group(1), _CONSTANTS.sub(_sorted_lines, source[match.start() : end]))
        for match, end in zip(starts, ends, strict=True)
    ]


def _sorted_lines(match: re.Match[bytes]) -> bytes:
    return b"".join(sorted(match.group().splitlines(keepends=True)))
