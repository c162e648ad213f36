"""Model files that were changed at random, for those who must all say the same of them."""

import random
import subprocess
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.runner.sources import build_folder, sources

CORPUS = sources() / "tests" / "fuzz" / "corpus"
VALIDATE = Path(__file__).parents[2] / "devices" / "android" / "validate" / "validate.cpp"

Record = tuple[str, bytes]


def changed(content: bytes, chance: random.Random) -> bytes:
    """One to four bytes or parts of it changed, taken out, put in, repeated or cut off."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) or 1)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = chance.randbytes(1)
            case 1:
                data[at : at + 1] = bytes(
                    byte ^ 1 << chance.randrange(8) for byte in data[at : at + 1]
                )
            case 2:
                del data[at : at + chance.randint(1, 8)]
            case 3:
                data[at:at] = chance.randbytes(chance.randint(1, 4))
            case 4:
                start = chance.randrange(len(data) or 1)
                data[at:at] = data[start : start + chance.randint(1, 40)]
            case 5:
                del data[at + len(data) // 2 :]
    return bytes(data)


def records(archive: Path) -> list[Record]:
    with zipfile.ZipFile(archive) as file:
        return [(info.filename.partition("/")[2], file.read(info)) for info in file.infolist()]


def packed(content: Sequence[Record]) -> bytes:
    """An archive as torch writes it, its checksums right."""
    file, directory = b"", b""
    for name, data in content:
        full = f"net/{name}".encode()
        what = little(0x808 if data else 0x800, 2) + little(0, 6)
        sizes = little(zlib.crc32(data), 4) + little(len(data), 4) * 2
        directory += b"PK\1\2" + little(0, 4) + what + sizes + little(len(full), 2)
        directory += little(0, 12) + little(len(file), 4) + full
        file += b"PK\3\4" + little(0, 2) + what + little(0, 12) + little(len(full), 2)
        file += little(6, 2) + full + b"FB" + little(2, 2) + b"ZZ" + data
        file += b"PK\7\x08" + sizes if data else b""
    start, count = len(file), len(content)
    end = start + len(directory)
    last = little(44, 8) + little(0x2D031E, 4) + little(0, 8) + little(count, 8) * 2
    last += little(len(directory), 8) + little(start, 8)
    short = little(count, 2) * 2 + little(len(directory), 4) + little(start, 4) + little(0, 2)
    locator = b"PK\6\7" + little(0, 4) + little(end, 8) + little(1, 4)
    return file + directory + b"PK\6\6" + last + locator + b"PK\5\6" + little(0, 4) + short


def little(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


def cases(chance: random.Random, times: int) -> Iterator[tuple[str, bytes]]:
    """(file name, content): each file of the fuzz corpus as it is, and changed so many times."""
    for file in sorted((CORPUS / "validate_onnx").iterdir()):
        content = file.read_bytes()
        yield f"{file.stem}.onnx", content
        yield from ((f"{file.stem}.{n}.onnx", changed(content, chance)) for n in range(times))
    for file in sorted((CORPUS / "validate_torchscript").iterdir()):
        content = records(file)  # type: ignore[assignment]
        yield f"{file.stem}.pt", packed(content)  # type: ignore[arg-type]
        inner = [at for at, (name, _) in enumerate(content) if name.endswith((".py", ".pkl"))]  # type: ignore[has-type,misc]
        for number in range(times):
            at = chance.choice(inner)
            name, data = content[at]  # type: ignore[misc]
            new = [*content[:at], (name, changed(data, chance)), *content[at + 1 :]]  # type: ignore[has-type]
            yield f"{file.stem}.{number}.pt", packed(new)


def write_cases(folder: Path, chance: random.Random, times: int) -> None:
    folder.mkdir()
    for name, content in cases(chance, times):
        (folder / name).write_bytes(content)


def in_cpp(files: Path, scratch: Path) -> str:
    """What the C++ runner says of each file of a folder: a line each, `accepted` or `refused`."""
    library = build_folder() / "libedge_bundle.a"
    if not library.is_file():
        pytest.skip("the C++ runner is not built (make runner)")
    program = scratch / "validate"
    include = f"-I{sources() / 'include'}"
    words = ["g++", "-std=c++20", include, VALIDATE, library, "-lz", "-lcrypto"]
    subprocess.run([*words, "-o", program], check=True)  # type: ignore[list-item]
    return subprocess.run([program, files], check=True, capture_output=True, text=True).stdout
