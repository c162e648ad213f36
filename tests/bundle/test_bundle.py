"""Reading and writing bundles: the frozen one is understood, and no broken one gets through."""

import importlib.util
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType

import pytest

from pipeline.bundle import MESSAGES, Refusal, Refused, open_bundle
from pipeline.bundle.names import check_name
from pipeline.errors import DamagedError, UsageError

HERE = Path(__file__).parents[1]
GOLDEN = HERE / "golden" / "bundle-v1"


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_bad_bundles", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bad_bundles = load_script(HERE / "bad-bundles" / "make.py")
CASES = bad_bundles.load_cases()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "a cöpy.bundle"))


@pytest.fixture
def alarm() -> Iterator[None]:
    """A reader that hangs fails instead."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("the reader hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


# Refusing


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_bad_bundle_is_refused_with_its_code(case: dict, tmp_path: Path) -> None:
    bundle = bad_bundles.build(case, tmp_path)
    if case["code"] is None:
        assert open_bundle(bundle).manifest.name == "bars"
        return
    with pytest.raises(DamagedError) as refused:
        open_bundle(bundle)
    assert isinstance(refused.value, Refused)
    assert refused.value.code == case["code"], refused.value.message
    assert refused.value.exit_code == 4
    assert refused.value.message.endswith(".")
    assert str(tmp_path) not in refused.value.message


def test_every_code_has_a_message_and_a_case() -> None:
    assert set(MESSAGES) == set(Refusal)
    assert {case["code"] for case in CASES} == {None, *map(str, Refusal)}
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names)


def test_every_code_is_documented() -> None:
    page = (HERE.parent / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    for code in Refusal:
        assert f"`{code}`" in page, code


def test_the_documented_example_has_every_key() -> None:
    page = (HERE.parent / "docs" / "bundle-format.md").read_text(encoding="utf-8")
    example = json.loads(page.partition("```json")[2].partition("```")[0])
    frozen = json.loads((GOLDEN / "manifest.json").read_text(encoding="utf-8"))
    assert keys(example) == keys(frozen)


def keys(value: object) -> object:
    """The shape of a document: keys alone, but for operators', and the last item of each array."""
    if isinstance(value, dict):
        return {key: None if key == "operators" else keys(inner) for key, inner in value.items()}
    return keys(value[-1]) if isinstance(value, list) and value else None


def test_a_message_names_the_file(copy: Path) -> None:
    (copy / "labels.txt").write_text("changed\n")
    with pytest.raises(Refused, match=r"labels\.txt has another size .* 8 bytes, not 45"):
        open_bundle(copy)
    (copy / "labels.txt").unlink()
    with pytest.raises(Refused, match=r"^labels\.txt is listed .* not there"):
        open_bundle(copy)


def test_what_is_no_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no bundle"):
        open_bundle(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(Refused) as refused:
        open_bundle(tmp_path / "file")
    assert refused.value.code == Refusal.NOT_A_BUNDLE


def test_the_folder_itself_may_be_reached_by_a_link(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(copy, target_is_directory=True)
    assert open_bundle(tmp_path / "latest").load("labels.txt")


@pytest.mark.usefixtures("alarm")
def test_a_socket_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy)  # a socket's address is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("s")
        with pytest.raises(Refused) as refused:
            open_bundle(copy)
    assert refused.value.code == Refusal.NOT_A_FILE


def test_any_flipped_byte_in_any_file_is_refused(copy: Path) -> None:
    seed = 20240607
    rng = random.Random(seed)
    for path in sorted(path for path in copy.rglob("*") if path.is_file()):
        content = path.read_bytes()
        many = len(content) if path.name == "manifest.json" else 40
        for offset in rng.sample(range(len(content)), min(many, len(content), 600)):
            broken = bytearray(content)
            broken[offset] ^= rng.randrange(1, 256)
            path.write_bytes(broken)
            with pytest.raises(Refused):
                open_bundle(copy)
        path.write_bytes(content)
    open_bundle(copy)


def test_random_manifests_are_refused_and_nothing_else(copy: Path) -> None:
    """Whatever stands there: a refusal, never another error."""
    rng = random.Random(7)
    path = copy / "manifest.json"
    content = path.read_bytes()
    for _ in range(300):
        start, length = rng.randrange(len(content)), rng.randrange(1, 60)
        piece = content[rng.randrange(len(content)) :][: rng.randrange(60)]
        path.write_bytes(content[:start] + piece + content[start + length :])
        if path.read_bytes() != content:
            with pytest.raises(Refused):
                open_bundle(copy)


# Loading


def test_loading_checks_again(copy: Path) -> None:
    """A file that is exchanged after the bundle was opened."""
    bundle = open_bundle(copy)
    content = bytearray((copy / "labels.txt").read_bytes())
    content[0] ^= 1
    (copy / "labels.txt").write_bytes(content)
    with pytest.raises(Refused) as refused:
        bundle.load("labels.txt")
    assert refused.value.code == Refusal.WRONG_HASH
    (copy / "labels.txt").unlink()
    (copy / "labels.txt").symlink_to("README.md")
    with pytest.raises(Refused) as refused:
        bundle.load("labels.txt")
    assert refused.value.code == Refusal.LINK


@pytest.mark.usefixtures("alarm")
def test_a_folder_that_becomes_a_link_is_not_followed(copy: Path, tmp_path: Path) -> None:
    bundle = open_bundle(copy)
    (copy / "golden").rename(tmp_path / "golden")
    (copy / "golden").symlink_to(tmp_path / "golden", target_is_directory=True)
    with pytest.raises(Refused) as refused:
        bundle.load("golden/000.input.bin")
    assert refused.value.code == Refusal.LINK


def test_without_check_hashes_are_left_to_load(copy: Path) -> None:
    content = bytearray((copy / "labels.txt").read_bytes())
    content[0] ^= 1
    (copy / "labels.txt").write_bytes(content)
    bundle = open_bundle(copy, check=False)
    with pytest.raises(Refused):
        bundle.load("labels.txt")


def test_only_listed_files_are_loaded(copy: Path) -> None:
    bundle = open_bundle(copy)
    for name in ("manifest.json", "nothing.txt", "../a cöpy.bundle/labels.txt"):
        with pytest.raises(UsageError, match="has no file"):
            bundle.load(name)
    with pytest.raises(UsageError, match="no artifact") as refused:
        bundle.artifact("nothing")
    assert "It has onnx-int8-static, " in (refused.value.hint or "")


def test_no_descriptor_stays_open(copy: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    bundle = open_bundle(copy)
    bundle.load("golden/000.input.bin")
    (copy / "golden" / "000.input.bin").write_bytes(b"")
    with pytest.raises(Refused):
        open_bundle(copy)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["a", "a.b", "A-1_2.onnx", "a/b/c/d", "conx", "nul1.txt", "0"])
def test_portable_names_are_taken(name: str) -> None:
    assert check_name(name) == name


def test_reading_needs_no_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.bundle import open_bundle\n"
        "bundle = open_bundle(Path(sys.argv[1])); bundle.load('labels.txt')\n"
        "assert not {'torch', 'onnx', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, GOLDEN], check=True, timeout=60)
