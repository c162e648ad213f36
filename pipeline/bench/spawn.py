"""A worker process from its start to its end, however that comes."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.bench.request import Request


def run_worker(request: Request, limit_s: float) -> dict[str, Any]:
    """What the worker measured. `error` says what kept it from measuring all, else it is None.

    The worker and what it may have started are gone when this returns or raises.
    """
    Path(request.result).unlink(missing_ok=True)
    with tempfile.TemporaryFile() as errors:
        error = _wait(request, limit_s, errors.fileno())
        errors.seek(0)
        last = _last_line(errors.read())
    result = _read(Path(request.result))
    if error and "error" not in result:
        during = f" while measuring {result['measuring']}" if "measuring" in result else ""
        result["error"] = f"{error}{during}{f': {last}' if last else ''}"
    result.pop("measuring", None)
    return {"error": None, **result}


def _wait(request: Request, limit_s: float, errors: int) -> str | None:
    """What became of the process, if not what should."""
    process = subprocess.Popen(
        # -P: a file of the user's that is called random.py is not Python's.
        [sys.executable, "-P", "-m", "pipeline.bench.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env={**os.environ, "OMP_NUM_THREADS": str(request.threads)},
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(request.to_line())
        process.stdin.flush()  # and left open: its end would be the worker's
        status = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return f"took more than {limit_s:g} s"
    except BrokenPipeError:
        return "the worker did not start"
    finally:
        _end(process)
    if status < 0:
        return f"the worker was ended by {signal.Signals(-status).name}"
    return f"the worker ended with status {status}" if status else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and its group, and waits for it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdin is not None
    try:
        process.stdin.close()
    except BrokenPipeError:
        return  # the request was still in the buffer; nobody is left to read it


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def _last_line(content: bytes) -> str:
    lines = content.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
