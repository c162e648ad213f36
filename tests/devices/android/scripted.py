"""A scripted phone: what adb says, as it was recorded from its sources and documentation."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.runner.headers import onnxruntime_version

FAKE = Path(__file__).parent / "fake_adb.py"

SERIAL = "8A2X0WXYZ"
ONE = f"List of devices attached\n{SERIAL}\tdevice\n\n"
DEVICE = {
    "manufacturer": "Google",
    "model": "Pixel 8",
    "android": "15",
    "api_level": 35,
    "abi": "arm64-v8a",
    "cores": 9,
    "page_size": 4096,
    "app": "0.1.0",
}

Answer = list[Any]


@dataclass
class Script:
    """Answers by the words of a call; `environment` lets `pipeline` find it as its adb."""

    folder: Path
    answers: list[Answer] = field(default_factory=list)

    def on(self, *words: str, out: str = "", err: str = "", status: int | str = 0) -> "Script":
        """What is added first answers first."""
        self.answers.append([list(words), status, out, err])
        return self

    def phone(self, abis: str = "arm64-v8a,armeabi-v7a") -> "Script":
        """A connected device that trusts this computer."""
        self.on("devices", out=ONE)
        return self.on("getprop", "ro.product.cpu.abilist", out=f"{abis}\n")

    @property
    def environment(self) -> dict[str, str]:
        script = self.folder / "adb-script.json"
        script.write_text(json.dumps(self.answers), encoding="utf-8")
        return {
            "ADB": str(FAKE),
            "ADB_SCRIPT": str(script),
            "ADB_CALLS": str(self.folder / "adb-calls.jsonl"),
        }

    @property
    def calls(self) -> list[list[str]]:
        path = self.folder / "adb-calls.jsonl"
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        return [json.loads(line) for line in lines]


def instrumentation(answer: Any, piece: int = 500) -> str:
    """What `am instrument` prints of a result, in pieces as the app cuts them."""
    text = json.dumps(answer)
    pieces = [text[at : at + piece] for at in range(0, len(text), piece)]
    lines = [
        f"INSTRUMENTATION_STATUS: result.{i}={part}\nINSTRUMENTATION_STATUS_CODE: -1"
        for i, part in enumerate(pieces)
    ]
    lines += ["INSTRUMENTATION_RESULT: message="]
    lines += [f"INSTRUMENTATION_RESULT: result.count={len(pieces)}"]
    lines += ["INSTRUMENTATION_RESULT: status=ok", "INSTRUMENTATION_CODE: -1", ""]
    return "\n".join(lines)


def refusal(message: str) -> str:
    return (
        f"INSTRUMENTATION_RESULT: message={message}\n"
        "INSTRUMENTATION_RESULT: status=error\nINSTRUMENTATION_CODE: 0\n"
    )


CRASH = "INSTRUMENTATION_RESULT: shortMsg=Process crashed.\nINSTRUMENTATION_CODE: 0\n"
CRASH_LOG = """--------- beginning of crash
11-24 21:00:01.100  4242  4242 F libc    : Fatal signal 11 (SIGSEGV), code 1 in tid 4242
11-24 21:00:01.300  4250  4250 F DEBUG   : Cmdline: dev.edgepipeline.app
11-24 21:00:01.300  4250  4250 F DEBUG   :       #00 pc 00000000001a2b3c  libonnxruntime.so
"""


def head(artifact: Any, engine: str) -> dict[str, Any]:
    return {
        "bundle": "tiny",
        "bundle_digest": "0" * 64,
        "artifact": artifact.id,
        "sha256": artifact.sha256,
        "engine": engine,
        "runtime": f"ONNX Runtime {onnxruntime_version()}"
        if engine != "pytorch"
        else "PyTorch 1.13.1",
        "threads": 1,
    }


def check(artifact: Any, engine: str = "cpu", **other: Any) -> dict[str, Any]:
    """A self-check of one artifact that passes, but for what `other` says."""
    output = {"name": "probabilities", "max_abs": 2e-6, "max_rel": 3e-6, "sqnr_db": 110.0}
    found = {
        **head(artifact, engine),
        "verdict": "pass",
        "reasons": [],
        "warnings": [],
        "outputs": [{**output, "top1": 1.0, "reasons": []}],
        "samples": [{"sample": i, "max_abs": 2e-6, "top1": True, "reasons": []} for i in range(2)],
        "perturbed": {"sample": 0, "failed": True, "max_abs": 0.8},
        **other,
    }
    return {"schema": 1, "command": "selfcheck", "device": DEVICE, "results": [found]}


def measured(artifact: Any, engine: str = "cpu") -> dict[str, Any]:
    latencies = [1.0 + 0.01 * number for number in range(64)]
    found = {
        **head(artifact, engine),
        "load_ms": 12.5,
        "first_ms": 3.0,
        "warmup_runs": 20,
        "runs": 64,
        "p50_ms": latencies[31],
        "p90_ms": latencies[57],
        "p99_ms": latencies[63],
        "latencies_ms": latencies,
    }
    return {"schema": 1, "command": "benchmark", "device": DEVICE, "results": [found]}
