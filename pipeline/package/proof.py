"""The packed bundle asked its own golden samples, as every reader will ask it."""

import json
import subprocess
from collections.abc import Iterator

from pipeline.bundle import Bundle
from pipeline.bundle.check import check
from pipeline.bundle.manifest import Artifact
from pipeline.graph.array import Array
from pipeline.graph.signature import Signature, TensorSpec
from pipeline.runner import program
from pipeline.runtimes import Asked, RunnerError, Runtime, usable


def failures(bundle: Bundle, artifact: Artifact) -> Iterator[str]:
    """For each Python runtime in which a verified artifact fails: why, as a sentence."""
    if artifact.verdict != "pass":
        return
    for runtime in usable((), artifact.format):
        if runtime.program:
            continue
        try:
            answers = _ask(bundle, artifact, runtime)
        except RunnerError as error:
            yield f"{artifact.id} in {runtime.name}: {error}"
            continue
        verdict, outputs = check(bundle, artifact, answers)
        if verdict == "fail":
            reasons = "; ".join(reason for output in outputs for reason in output.reasons)
            yield f"{artifact.id} in {runtime.name}: {reasons}"


def program_failures(bundle: Bundle) -> Iterator[str]:
    """What `edge-runner verify` says against the bundle, where that program is built."""
    if program.why_not():
        return
    done = subprocess.run(  # noqa: S603  a program of ours
        [program.program(), "verify", bundle.path, "--json"],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    )
    answer = json.loads(done.stdout) if done.stdout.strip() else {}
    if "rows" not in answer:
        lines = done.stderr.strip().splitlines() or [f"edge-runner: exit {done.returncode}"]
        yield f"the C++ runner refuses the bundle: {lines[-1].removeprefix('edge-runner: ')}"
        return
    passed = {artifact.id for artifact in bundle.manifest.artifacts if artifact.verdict == "pass"}
    for row in answer["rows"]:
        if row["artifact"] in passed and row["verdict"] == "fail":
            yield f"{row['artifact']} in {row['runtime']}: {'; '.join(row['reasons'])}"


def _ask(bundle: Bundle, artifact: Artifact, runtime: Runtime) -> list[list[Array]]:
    asked = Asked(_signature(bundle), 1, artifact.made_for)
    runner = runtime.open(bundle.path / artifact.file, asked)
    try:
        return [
            # torch wants arrays that it may write to.
            runner.run([bundle.array(tensor).copy() for tensor in sample.inputs])
            for sample in bundle.manifest.golden
        ]
    finally:
        runner.close()


def _signature(bundle: Bundle) -> Signature:
    manifest = bundle.manifest
    inputs, outputs = (
        tuple(TensorSpec(port.name, port.dtype, port.shape, port.meaning) for port in ports)
        for ports in (manifest.inputs, manifest.outputs)
    )
    return Signature(inputs, outputs)
