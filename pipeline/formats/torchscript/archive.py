"""The zip file of a TorchScript archive, read as strictly as its structure can be said.

Two readers of one zip file may see two contents (a second directory, a local header that differs):
whatever torch's writer would not have written is refused, so that what is checked here is what
torch loads.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

_END, _LOCATOR, _END64 = 22, 20, 56
_NONE16, _NONE32 = 0xFFFF, 0xFFFFFFFF  # "see the 64-bit field"
_MAX_RECORDS = 1 << 20
_UTF8, _DESCRIPTOR = 0x0800, 0x0008
_PADDING, _WIDE = 0x4246, 0x0001  # extra fields: torch's, and the one of 64-bit numbers
_CHUNK = 1 << 20
_STORED, _DEFLATED = 0, 8  # torch compresses what is text
_MAX_INFLATED = 1 << 26
_SHOWN = 128


class Unsafe(Exception):
    """An archive that must not be loaded; the text says why, without a name of the file."""


def refuse(why: str) -> NoReturn:
    raise Unsafe(f"{why}.")


def quoted(name: bytes) -> str:
    """A name as a message may show it: cut at 128 bytes, all but printable ASCII escaped."""
    shown = "".join(chr(b) if 0x20 <= b < 0x7F else f"\\x{b:02x}" for b in name[:_SHOWN])
    return f"'{shown}'"


@dataclass(frozen=True)
class Record:
    """`name` without the folder that all records lie in; `offset` of its data in the file, which
    takes `packed` bytes there and `size` when it is unpacked."""

    name: bytes
    offset: int
    packed: int
    size: int

    @property
    def stored(self) -> bool:
        """As it is: nothing is compressed."""
        return self.packed == self.size


def read_records(file: BinaryIO) -> list[Record]:
    """Every record, its checksum compared. Raises Unsafe."""
    start, count, directory = _directory(file)
    file.seek(0)
    records: list[Record] = []
    names: set[bytes] = set()
    folder = b""
    for entry in _entries(directory, count):
        if entry.offset != file.tell():
            _refuse(entry, "does not begin where the record before it ends")
        offset = _local(file, entry, start)
        parent, slash, name = entry.name.partition(b"/")
        if not slash or not parent:
            _refuse(entry, "is not in a folder")
        folder = folder or parent
        if parent != folder:
            _refuse(entry, "is in a different folder")
        if entry.name.lower() in names:  # torch looks names up without regard to case
            _refuse(entry, "appears twice")
        names.add(entry.name.lower())
        records.append(Record(name, offset, entry.packed, entry.size))
    if file.tell() != start:
        refuse("it has data between its records and its directory")
    return records


def content(file: BinaryIO, record: Record) -> bytes:
    """The data of one record."""
    file.seek(record.offset)
    data = file.read(record.packed)
    return data if record.stored else _inflated(data, record.size)


class _Cursor:
    """Little-endian numbers from the front of some bytes; past their end it refuses."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> int:
        return int.from_bytes(self.bytes(size), "little")

    def bytes(self, size: int) -> bytes:
        if size > self.left:
            refuse("a header is cut off")
        self.at += size
        return self.data[self.at - size : self.at]

    def expect(self, size: int, value: int, what: str) -> None:
        if self.take(size) != value:
            refuse(f"{what} is not what torch writes")

    @property
    def left(self) -> int:
        return len(self.data) - self.at


@dataclass
class _Header:
    name: bytes = b""
    version: int = 0
    flags: int = 0
    method: int = 0
    time: int = 0
    crc: int = 0
    packed: int = 0
    size: int = 0
    offset: int = 0
    wide: bytes = b""  # the extra field of 64-bit numbers

    @property
    def kind(self) -> tuple[bytes, int, int, int, int]:
        return self.name, self.version, self.flags, self.method, self.time


def _directory(file: BinaryIO) -> tuple[int, int, bytes]:
    """(where it starts, how many records, its bytes).

    The three records at the end must be the last bytes of the file: no comment, and nothing that
    another reader could take for the end.
    """
    length = file.seek(0, 2)
    start = length - _END - _LOCATOR - _END64
    if start < 0:
        refuse("it is too short")
    file.seek(start)
    end = _Cursor(file.read())
    end.expect(4, 0x06064B50, "the 64-bit end record")
    end.expect(8, _END64 - 12, "the 64-bit end record")
    end.expect(4, 0x002D031E, "the end record's version")
    end.expect(8, 0, "the number of disks")
    count = end.take(8)
    end.expect(8, count, "the number of records")
    size, offset = end.take(8), end.take(8)
    end.expect(4, 0x07064B50, "the end locator")
    end.expect(4, 0, "the number of disks")
    end.expect(8, start, "the place of the end record")
    end.expect(4, 1, "the number of disks")
    end.expect(4, 0x06054B50, "the end record")
    end.expect(4, 0, "the number of disks")
    end.expect(2, min(count, _NONE16), "the end record")
    end.expect(2, min(count, _NONE16), "the end record")
    end.expect(4, min(size, _NONE32), "the end record")
    end.expect(4, min(offset, _NONE32), "the end record")
    end.expect(2, 0, "a comment's length")
    if offset > start or size != start - offset:
        refuse("its directory does not end where the end record begins")
    if count > _MAX_RECORDS:
        refuse("it has more than 1,048,576 records")
    file.seek(offset)
    return offset, count, file.read(size)


def _entries(directory: bytes, count: int) -> Iterator[_Header]:
    entries = _Cursor(directory)
    for _ in range(count):
        yield _central(entries)
    if entries.left:
        refuse("its directory has more than its records")


def _central(entries: _Cursor) -> _Header:
    entries.expect(4, 0x02014B50, "a record's entry in the directory")
    entries.expect(2, 0, "a record's version")
    header = _Header(version=entries.take(2), flags=entries.take(2), method=entries.take(2))
    header.time, header.crc = entries.take(4), entries.take(4)
    header.packed, header.size = entries.take(4), entries.take(4)
    name, extra = entries.take(2), entries.take(2)
    entries.expect(2, 0, "a comment's length")
    entries.expect(2, 0, "the number of disks")
    entries.expect(6, 0, "a record's attributes")
    header.offset = entries.take(4)
    header.name = entries.bytes(name)
    header.wide = _wide(entries.bytes(extra))
    wide = _Cursor(header.wide)
    if header.size == _NONE32:
        header.size = wide.take(8)
    if header.packed == _NONE32:
        header.packed = wide.take(8)
    if header.offset == _NONE32:
        header.offset = wide.take(8)
    if wide.left:
        refuse("a record's 64-bit sizes are not what torch writes")
    return header


def _wide(data: bytes) -> bytes:
    """The field of 64-bit numbers; beside it only torch's padding ("FB", length, "ZZZ...")."""
    extra, wide = _Cursor(data), b""
    while extra.left:
        field = extra.take(2)
        inside = extra.bytes(extra.take(2))
        if field == _PADDING:
            if inside.strip(b"Z"):
                refuse("its padding hides data")
            continue
        if field != _WIDE or not inside or wide:
            refuse("a record has an extra field that is unknown or repeated")
        wide = inside
    return wide


def _local(file: BinaryIO, central: _Header, end: int) -> int:
    """Reads the local header, the data and the descriptor behind it; gives the data's offset."""

    def take(size: int) -> bytes:
        if size > end - file.tell():
            refuse("a header is cut off")
        return file.read(size)

    head = _Cursor(take(30))
    head.expect(4, 0x04034B50, "what stands before a record")
    local = _Header(version=head.take(2), flags=head.take(2), method=head.take(2))
    local.time = head.take(4)
    numbers = head.take(4) | head.take(4) | head.take(4)
    name, extra = head.take(2), head.take(2)
    local.name = take(name)
    local.wide = _wide(take(extra))
    if local.kind != central.kind or not _same_wide(local.wide, central.wide):
        _refuse(central, "differs between its own header and the directory")
    deflated = central.method == _DEFLATED and central.packed != central.size <= _MAX_INFLATED
    if not deflated and (central.method != _STORED or central.packed != central.size):
        _refuse(central, "is compressed in a way that torch does not use")
    described = central.flags == _UTF8 | _DESCRIPTOR
    if not described and (central.flags != _UTF8 or central.size or central.crc):
        _refuse(central, "has flags that torch does not write")
    if numbers:
        _refuse(central, "has sizes before it as well as behind it")
    offset = file.tell()
    if deflated:
        crc = zlib.crc32(_inflated(take(central.packed), central.size))
    else:
        left, crc = central.size, 0
        while left:
            chunk = take(min(left, _CHUNK))
            left -= len(chunk)
            crc = zlib.crc32(chunk, crc)
    if described:
        width = 8 if central.wide else 4
        behind = _Cursor(take(8 + 2 * width))
        behind.expect(4, 0x08074B50, "what stands behind a record")
        behind.expect(4, central.crc, "the CRC behind a record")
        behind.expect(width, central.packed, "the size behind a record")
        behind.expect(width, central.size, "the size behind a record")
    if crc != central.crc:
        _refuse(central, "has a CRC-32 other than its header says")
    return offset


def _inflated(data: bytes, size: int) -> bytes:
    """Unpacked, never to more than the size that the header claims."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        text = stream.decompress(data, size + 1)
    except zlib.error:
        text = b""
    if len(text) != size or not stream.eof or stream.unused_data:
        refuse("a compressed record is not what its header says")
    return text


def _same_wide(local: bytes, central: bytes) -> bool:
    """Whether the 64-bit numbers of a record's own header are the directory's; the packed size was
    not known yet when torch wrote it."""
    if len(local) != len(central):
        return False
    has_sizes = len(central) >= 16
    packed = local[8:16] if has_sizes else b""
    return (
        local[:8] == central[:8]
        and not packed.strip(b"\0")
        and (not has_sizes or local[16:] == central[16:])
    )


def _refuse(header: _Header, why: str) -> NoReturn:
    refuse(f"{quoted(header.name)} {why}")
