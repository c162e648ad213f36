import json
import subprocess
import sys
import time
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.system import machine

INTEL = """processor\t: 0
model name\t: Some CPU @ 2.00GHz
flags\t\t: fpu sse4_1 avx2 f16c fma avx512f avx512_vnni

processor\t: 1
model name\t: Another
flags\t\t: fpu
"""
ARM = """processor\t: 0
Features\t: fp asimd asimddp i8mm
CPU implementer\t: 0x41
CPU part\t: 0xd0c
"""


def test_this_machine() -> None:
    found = machine.describe()
    json.dumps(asdict(found))
    assert found == machine.describe()  # nothing in it moves
    assert found.cores >= 1
    assert found.memory_bytes > 2**28
    assert found.arch == machine.made_for()
    assert found.versions["torch"] == metadata.version("torch")


def test_it_is_quick() -> None:
    machine.describe()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        machine.describe()
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


def test_it_loads_nothing_heavy() -> None:
    code = (
        "import sys; from pipeline.system import machine; machine.describe(); machine.has_vnni();"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "onnx", "onnxruntime", "pydantic"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("text", "cpu", "flags", "vnni"),
    [
        (
            INTEL,
            "Some CPU @ 2.00GHz",
            ["sse4_1", "f16c", "fma", "avx2", "avx512f", "avx512_vnni"],
            True,
        ),
        (INTEL.replace(" avx512_vnni", ""), "Some CPU @ 2.00GHz", None, False),
        (ARM, "ARM implementer 0x41 part 0xd0c", ["asimd", "asimddp", "i8mm"], False),
    ],
)
def test_other_machines(
    text: str, cpu: str, flags: list[str] | None, vnni: bool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    found = machine.describe()
    assert found.cpu == cpu
    assert flags is None or found.flags == flags
    assert machine.has_vnni() is vnni


def test_a_system_without_cpuinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "none")
    assert machine.describe().flags == []
    assert machine.describe().cpu


@pytest.mark.parametrize(
    ("said", "kind"), [("AMD64", "x86_64"), ("aarch64", "arm64"), ("riscv64", "riscv64")]
)
def test_kinds(said: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: said)
    assert machine.made_for() == kind
