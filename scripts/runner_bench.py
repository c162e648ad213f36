"""Measures what the C++ runner costs, against bare programs on the same libraries.

    python scripts/runner_bench.py digits.bundle mobilenet.bundle

For each artifact, and for models that give their input back, `edge-runner bench` and a bare program
take turns, each in a process of its own, with one thread. The bare programs (cpp_runner/bench) read
the file, make a session and run it: no hashes, no checks, no copy of the answers. Told are medians
over the pairs: of the ratios, and for p50 of the differences, too.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from onnx import TensorProto, helper

from pipeline.bundle import Bundle, open_bundle
from pipeline.cli.console import Terminal
from pipeline.formats.table import FORMATS
from pipeline.formats.torchscript.write import save_clean
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.runner.headers import headers
from pipeline.runtimes.cpp_draft import write_draft

SOURCES = Path(__file__).resolve().parents[1] / "cpp_runner"
BUILT = SOURCES / "build" / "bench" / "bin"
SECONDS = "1"
SAME = Signature(
    (TensorSpec("x", "float32", (None, 16)),), (TensorSpec("y", "float32", (None, 16)),)
)

Figures = dict[str, float]  # load_ms, p50_ms, peak_bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--pairs", type=int, default=9, help="processes of each")
    given = parser.parse_args()
    compile_both()
    print("artifact                          bare p50 ms     p50      +µs    load  peak memory")
    with tempfile.TemporaryDirectory() as folder:
        for path in [*identities(Path(folder)), *given.bundles]:
            bundle = open_bundle(path)
            for number, artifact in enumerate(bundle.manifest.artifacts):
                pairs = measure(bundle, path, number, given.pairs)
                tell(f"{path.stem} {artifact.id}", pairs)


def compile_both() -> None:
    """The runner and the bare programs, with the same compiler and options."""
    definitions = {
        "CMAKE_BUILD_TYPE": "Release",
        "EDGE_RUNNER_BENCH": "ON",
        "EDGE_RUNNER_PYTHON": sys.executable,
        "ONNXRUNTIME_HEADERS": headers(Terminal(json_only=False)),
    }
    words = [f"-D{key}={value}" for key, value in definitions.items()]
    folder = str(BUILT.parent)
    quiet = subprocess.DEVNULL
    subprocess.run(
        ["cmake", "-G", "Ninja", "-S", SOURCES, "-B", folder, *words], check=True, stdout=quiet
    )
    subprocess.run(["cmake", "--build", folder], check=True, stdout=quiet)


def identities(folder: Path) -> list[Path]:
    """Bundles of models that do nothing, one for each backend."""
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 16]) for n in ("x", "y"))
    graph = helper.make_graph(nodes, "identity", [x], [y])
    opsets = [helper.make_opsetid("", 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    script = torch.jit.script(torch.nn.Identity())
    (folder / "model.pt").write_bytes(save_clean(script))
    made = []
    for format, file in (("onnx", "model.onnx"), ("torchscript", "model.pt")):
        made.append(folder / f"identity-{format}.bundle")
        sample = [np.ones((1, 16), np.float32)]
        write_draft(made[-1], folder / file, format, SAME, "any", [sample])  # type: ignore[arg-type]
    return made


def measure(bundle: Bundle, path: Path, number: int, pairs: int) -> list[tuple[Figures, Figures]]:
    """Pairs of (runner, bare)."""
    artifact = bundle.manifest.artifacts[number]
    (tensor, *others) = bundle.manifest.golden[0].inputs
    if others:
        raise SystemExit(f"{path}: the bare programs know models of one input.")
    runner: list[str | Path] = [
        *(BUILT / "edge-runner", "bench", path, "--artifact", artifact.id, "--allow-failed"),
        *("--json", "--seconds", SECONDS),
    ]
    bare: list[str | Path] = [
        *(
            BUILT / f"bare_{FORMATS[artifact.format].backend}",
            path / artifact.file,
            path / tensor.file,
        ),
        *(tensor.dtype, ",".join(map(str, tensor.shape)), SECONDS),
    ]
    return [(run(runner), run(bare)) for _ in range(pairs)]


def run(words: list[str | Path]) -> Figures:
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    return {key: float(found[key]) for key in ("load_ms", "p50_ms", "peak_bytes")}


def tell(name: str, pairs: list[tuple[Figures, Figures]]) -> None:
    def median(of: Callable[[Figures, Figures], float]) -> float:
        return statistics.median(of(ours, bare) for ours, bare in pairs)

    def ratio(key: str) -> float:
        return median(lambda ours, bare: ours[key] / bare[key])

    microseconds = median(lambda ours, bare: 1e3 * (ours["p50_ms"] - bare["p50_ms"]))
    print(
        f"{name:34s}{median(lambda _, bare: bare['p50_ms']):10.4f}  {ratio('p50_ms'):7.3f}  "
        f"{microseconds:+6.1f}  {ratio('load_ms'):6.3f}  {ratio('peak_bytes'):11.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
