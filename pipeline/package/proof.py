"""The packed bundle asked its own golden samples, as every reader will ask it."""

from collections.abc import Iterator

from pipeline.bundle import Bundle
from pipeline.bundle.check import check
from pipeline.bundle.manifest import Artifact
from pipeline.runtimes import Array, Runtime, usable


def failures(bundle: Bundle, artifact: Artifact) -> Iterator[str]:
    """For each runtime of this machine in which a verified artifact fails: why, as a sentence."""
    if artifact.verdict != "pass":
        return
    for runtime in usable((), artifact.format):
        try:
            answers = _ask(bundle, artifact, runtime)
        except RuntimeError as error:
            yield f"{artifact.id} in {runtime.name}: {error}"
            continue
        verdict, outputs = check(bundle, artifact, answers)
        if verdict == "fail":
            said = "; ".join(reason for output in outputs for reason in output.reasons)
            yield f"{artifact.id} in {runtime.name}: {said}"


def _ask(bundle: Bundle, artifact: Artifact, runtime: Runtime) -> list[list[Array]]:
    runner = runtime.open(bundle.path / artifact.file, 1, artifact.made_for)
    try:
        return [
            # torch wants arrays that it may write to.
            runner.run([bundle.array(tensor).copy() for tensor in sample.inputs])
            for sample in bundle.manifest.golden
        ]
    finally:
        runner.close()
