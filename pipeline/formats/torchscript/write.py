"""TorchScript archives that say nothing about the machine or the process that made them.

What torch writes also holds `.debug_pkl` (absolute paths of sources) and `traced_inputs`, and the
classes and variables inside carry numbers (`___torch_mangle_7`, `_42`) that count what the process
compiled before. `save_clean` leaves the former out and numbers the latter anew: the same module,
the same bytes.
"""

import io
import re
import warnings

import torch

from pipeline.formats.torchscript.validate import VERSIONS, WRITER_MAKES

# A qualified name in code (`__torch__.torch.nn.modules.conv.___torch_mangle_3.Conv2d`).
_CODE_NAME = re.compile(rb"__torch__(?:\.[A-Za-z_]\w*)+")
# The same as a pickle's GLOBAL opcode: `c`, module, newline, name, newline.
_PICKLE_NAME = re.compile(rb"c(__torch__(?:\.[A-Za-z_]\w*)*)\n([A-Za-z_]\w*)\n")
_MANGLE = re.compile(rb"\.___torch_mangle_\d+")
_BLOCK = re.compile(rb"^(?:class|def) (\w+)", re.MULTILINE)
# Constants of a class come out of a Python set, whose order changes with every process.
_CONSTANTS = re.compile(rb"(?:^  \w+ : Final\[.*\n)+", re.MULTILINE)
# A function or method, to the next one or the end; its parameters; what it assigns or loops with.
_FUNCTION = re.compile(rb"^ *def .*?(?=^ *def |\Z)", re.MULTILINE | re.DOTALL)
_PARAMETER = re.compile(rb"(\w+):")
_TARGETS = re.compile(rb"^ +(?:(\w+(?:, \w+)*),? = |for (\w+) in )", re.MULTILINE)
# A string, left alone, or a name that is neither an attribute nor the keyword of an argument.
_NAME = re.compile(rb'"(?:\\.|[^"\\])*"|(?<![\w.])[A-Za-z_]\w*(?!\w|=[^=])')

_VERSIONS = tuple(name.decode() for name in VERSIONS)
_DROPPED = tuple(name.decode() for name in WRITER_MAKES)


def save_clean(module: torch.jit.ScriptModule) -> bytes:
    """The archive that `torch.jit.load` and LibTorch read; deterministic, in memory.

    In memory because torch's own writer aborts the process on a full disk.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit\.save. is deprecated")
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
    return archive_bytes(_canonical(records), int(reader.get_record(version)))


def archive_bytes(records: dict[str, bytes], version: int) -> bytes:
    """torch's zip layout: stored, every record aligned to 64 bytes."""
    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    writer.set_min_version(version)
    for name, data in records.items():
        writer.write_record(name, data, len(data))
    writer.write_end_of_file()
    return buffer.getvalue()


def _canonical(records: dict[str, bytes]) -> dict[str, bytes]:
    """The same archive in the one order and with the one numbering that its content gives.

    Of classes and functions of one name the first is plain, the next `___torch_mangle_1`, counted
    in the order in which the module tree and then the code mention them. torch writes a file for
    each mangled module; here all that were one Python file are one again, sorted by name.
    """
    code = {name: data for name, data in records.items() if name.startswith("code/")}
    blocks = {
        prefix + b"." + name: text
        for record, data in code.items()
        for prefix in [record.removeprefix("code/").removesuffix(".py").replace("/", ".").encode()]
        for name, text in _blocks(data)
    }
    new_names = _new_names(_mentioned(records, blocks))

    def in_pickle(match: re.Match[bytes]) -> bytes:
        prefix, _, last = new_names[b".".join(match.groups())].rpartition(b".")
        return b"c%s\n%s\n" % (prefix, last)

    def in_code(match: re.Match[bytes]) -> bytes:
        return new_names[match.group()]

    files: dict[str, bytes] = {}
    for old, text in sorted(blocks.items(), key=lambda item: new_names[item[0]]):
        module = new_names[old].rpartition(b".")[0].decode()
        file = f"code/{module.replace('.', '/')}.py"
        files[file] = files.get(file, b"") + _CODE_NAME.sub(in_code, _tidied(text))
    for record, data in records.items():
        if record.endswith(".pkl"):
            files[record] = _PICKLE_NAME.sub(in_pickle, data)
        elif record not in code or not _blocks(data):
            files[record] = data  # a storage, or code of torch's own classes, which has no text
    return {name: files[name] for name in sorted(files, key=_storages_first)}


def _mentioned(records: dict[str, bytes], blocks: dict[bytes, bytes]) -> list[bytes]:
    """Qualified names in the order in which a reader who starts at the module meets them."""
    pickles = sorted((name for name in records if name.endswith(".pkl")), reverse=True)
    names = [
        b".".join(match.groups())
        for name in pickles  # data.pkl, the module tree, before constants.pkl
        for match in _PICKLE_NAME.finditer(records[name])
    ]
    met = dict.fromkeys(names)
    for start in (*names, *sorted(blocks)):
        pending = [start]
        for name in pending:  # grows while it is read
            met.setdefault(name)
            mentioned = _CODE_NAME.findall(blocks.get(name, b""))
            pending += [other for other in dict.fromkeys(mentioned) if other not in met]
            met.update(dict.fromkeys(mentioned))
    return list(met)


def _new_names(names: list[bytes]) -> dict[bytes, bytes]:
    new_names = {}
    used: dict[bytes, int] = {}
    for name in names:
        base = _MANGLE.sub(b"", name)
        index = used.get(base, 0)
        used[base] = index + 1
        prefix, _, last = base.rpartition(b".")
        new_names[name] = b"%s.___torch_mangle_%d.%s" % (prefix, index, last) if index else base
    return new_names


def _storages_first(name: str) -> tuple[bool, str]:
    return not name.startswith("data/"), name


def _blocks(source: bytes) -> list[tuple[bytes, bytes]]:
    """(name, text) of the top-level classes and functions of a code file."""
    starts = list(_BLOCK.finditer(source))
    ends = [*(match.start() for match in starts[1:]), len(source)] if starts else []
    return [
        (match.group(1), source[match.start() : end])
        for match, end in zip(starts, ends, strict=True)
    ]


def _tidied(block: bytes) -> bytes:
    """Constants sorted, and the local names of each function numbered from 0."""
    ordered = _CONSTANTS.sub(
        lambda match: b"".join(sorted(match.group().splitlines(keepends=True))), block
    )
    return _FUNCTION.sub(lambda match: _renumbered(match.group()), ordered)


def _renumbered(function: bytes) -> bytes:
    """torch counts the `_3` and `x1` of a function on from whatever it printed before."""
    assigned = _TARGETS.findall(function)
    local = {name for names in assigned for name in re.findall(rb"\w+", b" ".join(names))}
    taken = set(_PARAMETER.findall(function.partition(b") -> ")[0]))
    counts: dict[bytes, int] = {}
    numbered: dict[bytes, bytes] = {}

    def renamed(match: re.Match[bytes]) -> bytes:
        name = match.group()
        base = name.rstrip(b"0123456789")
        if name not in local - taken or base == name:
            return name
        while name not in numbered:
            candidate = b"%s%d" % (base, counts.get(base, 0))
            counts[base] = counts.get(base, 0) + 1
            if candidate not in taken:
                numbered[name] = candidate
        return numbered[name]

    return _NAME.sub(renamed, function)
