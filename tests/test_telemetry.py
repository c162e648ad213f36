"""Nothing calls home: ONNX Runtime's telemetry does not even start, in any program that loads it.

Started, it writes into the home and the temporary folder, asks a shell for the disk's id, and looks
up a host of its maker's.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from pipeline.devices.android import jvm
from pipeline.runner.program import program
from pipeline.runner.sources import cache, sources
from pipeline.system.progress import Silent
from tests.conftest import write_tiny
from tests.tracing import Traced, traced

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden" / "bundle-v1"
MODEL = GOLDEN / "artifacts" / "model.fp32.onnx"
ARTIFACT = "onnx-fp32"

RUNTIME = """
from pathlib import Path
import numpy as np
from pipeline.runtimes import RUNTIMES, Asked
from pipeline.graph.signature import Signature, TensorSpec

signature = Signature(
    (TensorSpec("image", "uint8", (None, None, None, 1)),),
    (TensorSpec("probabilities", "float32", (None, 3)),),
)
runner = RUNTIMES[{name!r}].open(Path({artifact!r}), Asked(signature, 1))
(answer,) = runner.run([np.zeros((1, 8, 8, 1), np.uint8)])
runner.close()
print(answer.sum())
"""


def asking(name: str) -> list[str]:
    """A process that asks a runtime once, by its name, and prints the sum of probabilities."""
    code = RUNTIME.format(name=name, artifact=str(MODEL))
    return [sys.executable, "-B", "-c", code]


FOREIGN = r"""
#include <edge_runner/edge_runner.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char** words) {
  edge_options options = {0};
  edge_runner_t* runner = NULL;
  edge_error error;
  if (count == 4) unsetenv(words[3]);
  options.artifact = words[2];
  if (edge_open(words[1], &options, &runner, &error) != EDGE_OK) {
    puts(error.message);
    return 1;
  }
  puts(edge_artifact_id(runner));
  edge_free(runner);
  return 0;
}
"""


def check(found: Traced, *, code: int = 0, programs: int = 1, own: tuple[str, ...] = ()) -> None:
    """`programs` are how many were to be executed; `own` begin the paths that they write, beside
    what the kernel shows as files."""
    assert found.code == code, found.out + found.err
    assert found.network == []
    assert len(found.programs) == programs, found.programs
    assert [path for path in found.written if not path.startswith(("/dev/", "/proc/", *own))] == []
    assert found.left() == []


def test_the_runtime_in_python(tmp_path: Path) -> None:
    found = traced(asking("onnxruntime"), tmp_path)
    check(found)
    assert float(found.out) == pytest.approx(1, abs=1e-5)


def test_it_is_off_whatever_was_asked_for(tmp_path: Path) -> None:
    asked = {"ORT_DISABLE_TELEMETRY": "0"}
    check(traced(asking("onnxruntime"), tmp_path / "python", more=asked))
    words = [program(), "verify", GOLDEN, "--artifact", ARTIFACT]
    check(traced(words, tmp_path / "edge-runner", more=asked))  # type: ignore[arg-type]


def test_without_the_variable_it_would_start(tmp_path: Path) -> None:
    """What these tests look for is there to be found: a program that is not of ours."""
    code = f"import onnxruntime; onnxruntime.InferenceSession({str(MODEL)!r})"
    found = traced([sys.executable, "-B", "-c", code], tmp_path)
    assert any("mat-debug" in path for path in found.written)
    assert any(path.name == "deviceid" for path in found.left())


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_edge_runner(command: str, tmp_path: Path) -> None:
    quick = ["--seconds", "0.1", "--warm-up", "0.1"] if command == "bench" else []
    found = traced([program(), command, GOLDEN, "--artifact", ARTIFACT, *quick], tmp_path)
    check(found)
    assert ARTIFACT in found.out


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of somebody's, in C, that links to the library."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "main.c").write_text(FOREIGN, encoding="utf-8")
    library = program().parents[1] / "lib"
    words = ["gcc", folder / "main.c", "-o", folder / "main", "-I", sources() / "include"]
    done = subprocess.run(
        [*words, "-L", library, f"-Wl,-rpath,{library}", "-ledge_runner"],  # type: ignore[list-item]
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "main"


@pytest.mark.parametrize("cleared", [[], ["ORT_DISABLE_TELEMETRY"]], ids=["linked", "cleared"])
def test_a_program_that_links_to_the_library(
    foreign: Path, cleared: list[str], tmp_path: Path
) -> None:
    found = traced([foreign, GOLDEN, ARTIFACT, *cleared], tmp_path)
    check(found)
    assert found.out == f"{ARTIFACT}\n"


# What every JVM writes, and the libraries that ONNX Runtime's archive for it unpacks.
JAVA = ("/tmp/hsperfdata_", "/tmp/onnxruntime-java")


@pytest.fixture(scope="module")
def core() -> None:
    jvm.build(Silent())


@pytest.mark.slow
@pytest.mark.usefixtures("core")
def test_the_core_on_a_jvm(tmp_path: Path) -> None:
    where = {"XDG_CACHE_HOME": str(cache().parent)}
    found = traced(asking("jvm-onnxruntime"), tmp_path, more=where)
    drafts = str(found.temporary / "edge-pipeline-")
    check(found, programs=2, own=(*JAVA, drafts, str(found.temporary)))
    assert float(found.out) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("core")
def test_a_jvm_that_was_started_otherwise_loads_nothing(tmp_path: Path) -> None:
    found = traced(jvm.command(GOLDEN, ARTIFACT, 1), tmp_path)
    check(found, code=1, own=JAVA[:1])
    assert "start this program with ORT_DISABLE_TELEMETRY=1" in found.out


def copied_with_libraries(root: Path, *files: Path) -> None:
    """Files, and what the linker loads for them, at their own places below a new root."""
    for file in files:
        done = subprocess.run(["ldd", file], capture_output=True, text=True, check=True)
        needed = re.findall(r"(?:=> )?(/[^ ]+) \(0x", done.stdout)
        for path in [file, *map(Path, needed)]:
            there = root / path.relative_to("/")
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, there)


@pytest.mark.skipif(os.geteuid() != 0, reason="a root of its own needs the rights of root")
def test_edge_runner_in_a_root_without_a_shell(tmp_path: Path) -> None:
    """Where telemetry looks for the disk's and the machine's id, without either: it would end by
    SIGSEGV."""
    library = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    module = program().parents[1] / "lib" / "libedge_backend_onnxruntime.so"
    root = tmp_path / "root"
    copied_with_libraries(root, program(), module, library.resolve())
    shutil.copytree(GOLDEN, root / "bundle")
    for folder in ("proc", "tmp"):
        (root / folder).mkdir(exist_ok=True)
    before = sorted(path.name for path in (root / "tmp").iterdir())  # a checkout may lie there
    inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    words = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", inside, root]
    verify = [program(), "verify", "/bundle", "--artifact", ARTIFACT]
    quiet = {"PATH": os.environ["PATH"], "EDGE_RUNNER_ONNXRUNTIME": str(library.resolve())}
    done = subprocess.run(
        [*words, *verify],  # type: ignore[list-item]
        env=quiet,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"a root of its own cannot be made here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert ARTIFACT in done.stdout
    assert sorted(path.name for path in (root / "tmp").iterdir()) == before


@pytest.mark.slow
def test_a_whole_run(tmp_path: Path) -> None:
    """Every stage, with the processes that it starts: bench's, the C++ runner, a bundle's check."""
    project = write_tiny(tmp_path / "tiny", [("epochs = 6", "epochs = 1")])
    words = ["-m", "pipeline.cli", "run", "--set", "package.allow_failed=true", "-c", project]
    found = traced([sys.executable, *words], tmp_path / "traced")  # type: ignore[list-item]
    assert found.code == 0, found.out + found.err
    assert found.network == []
    assert not any(Path(path).name == "blkid" for path in found.programs)
    assert not any("mat-debug" in path or "Microsoft" in path for path in found.written)
