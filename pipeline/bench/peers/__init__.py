"""What others make of the same ONNX files: contestants for `[bench] against`.

A peer is a file here and a row in `PEERS`; the file has the two functions of a runtime
(`pipeline/runtimes`), and opens an artifact as that engine's own manual does.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SetupError, UsageError
from pipeline.runtimes import Asked, Runner


@dataclass(frozen=True)
class Peer:
    name: str
    module: str

    def why_not(self) -> str | None:
        answer: str | None = importlib.import_module(self.module).why_not()
        return answer

    def open(self, artifact: Path, asked: Asked) -> Runner:
        """Raises RuntimeError, one line, if the engine does not take the file."""
        runner: Runner = importlib.import_module(self.module).open(artifact, asked)
        return runner


PEERS = {
    peer.name: peer
    for peer in (
        Peer("onnxruntime", "pipeline.bench.peers.onnxruntime"),
        Peer("openvino", "pipeline.bench.peers.openvino"),
    )
}


def peers(names: tuple[str, ...]) -> list[Peer]:
    """Raises UsageError for an unknown name, SetupError for one that is not installed."""
    for name in names:
        if name not in PEERS:
            raise UsageError(f"There is no peer {name!r}.", f"Known: {', '.join(PEERS)}.")
        lack = PEERS[name].why_not()
        if lack:
            raise SetupError(f"The peer {name} cannot run here: {lack}.")
    return [PEERS[name] for name in dict.fromkeys(names)]
