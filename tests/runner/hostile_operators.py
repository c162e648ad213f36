"""Calls each operator that a TorchScript file may use with hostile arguments, each in a process
that may die, and prints those that did: a line of JSON each.

    python -m tests.runner.hostile_operators --seconds 60 [aten::add ...]

Best with guarded_memory.c preloaded: else a write behind a tensor may go unnoticed.
"""

import argparse
import ctypes
import faulthandler
import json
import mmap
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import TestCase

import torch

from tests.runner.hostile_arguments import Hostile

LIST = Path(__file__).parents[2] / "cpp_runner" / "bundle" / "operators.txt"
DEADLY = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
MEMORY = 1 << 29  # bytes that one process may take
CALLS = 40  # of an operator in one process
CPU_SECONDS = 2  # for them
NOTE = 1 << 16

# Models need them; cpp_runner/runner/libtorch_guards.cpp puts checks before them.
GUARDED = {
    "aten::__round_to_zero_floordiv",
    "aten::_native_multi_head_attention",
    "aten::_pad_packed_sequence",
    "aten::_transformer_encoder_layer_fwd",
    "aten::_weight_norm",
    "aten::divmod",
    "aten::embedding_bag",
    "aten::floordiv",
    "aten::fmod",
    "aten::gcd",
    "aten::gru",
    "aten::lstm",
    "aten::mathremainder",
    "aten::remainder",
    "aten::rnn_relu",
    "aten::rnn_tanh",
    "aten::scaled_dot_product_attention",
    "aten::to",
    "quantized::linear_prepack_fp16",
}

Valid = dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]]


def allowed() -> list[str]:
    lines = LIST.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("allow ") for line in lines if line.startswith("allow ")]


def writes_into(argument: Any) -> bool:
    """As `out` does, which code may not give."""
    alias = argument.alias_info
    return argument.kwarg_only and alias is not None and alias.is_write


def schemas(names: set[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for schema in torch._C._jit_get_all_schemas():
        if schema.name in names and not any(map(writes_into, schema.arguments)):
            found.setdefault(schema.name, []).append(schema)
    return found


def valid_calls() -> Valid:
    """Calls that torch's own tests make, by operator: what is near them gets past first checks."""
    # A package that torch's tests derive from, and this use of them does not need.
    sys.modules.setdefault("expecttest", SimpleNamespace(TestCase=TestCase))  # type: ignore[arg-type]
    from torch.testing._internal.common_methods_invocations import op_db

    found: Valid = {}
    for info in op_db:
        dtype = next(
            (one for one in (torch.float32, torch.int64) if info.supports_dtype(one, "cpu")), None
        )
        if dtype is None:
            continue
        names = {f"aten::{info.aten_name}", f"aten::{info.name.split('.')[-1]}"}
        try:
            for _, sample in zip(range(6), info.sample_inputs("cpu", dtype), strict=False):
                for name in names:
                    arguments = (sample.input, *sample.args), sample.kwargs
                    found.setdefault(name, []).append(arguments)
        except Exception:  # some need a library that is not here
            continue
    return found


def drawn(seed: str, schema: Any, valid: Valid) -> tuple[list[Any], dict[str, Any]]:
    draw = Hostile(seed, schema.name)
    known = valid.get(schema.name)
    if known and draw.chance(0.6):
        given, named = draw.pick(known)
        arguments = [copied(one) for one in given]
        named = {key: copied(one) for key, one in named.items()}
        for _ in range(draw.pick([1, 1, 2, 3])):
            at = draw.random.randrange(len(arguments) + len(named))
            if at < len(arguments):
                arguments[at] = draw.mutated(arguments[at])
            else:
                key = sorted(named)[at - len(arguments)]
                named[key] = draw.mutated(named[key])
        return arguments, named
    arguments, named = [], {}
    for argument in schema.arguments:
        if argument.has_default_value() and draw.chance(0.5):
            continue
        named[argument.name] = draw.argument(argument)
    return arguments, named


def copied(value: Any) -> Any:
    """With tensors in memory of this process's own taking."""
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def shown(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        few = f" {value.tolist()}" if value.device.type == "cpu" and 0 < value.numel() <= 6 else ""
        kind = str(value.dtype).removeprefix("torch.")
        return f"{kind}{list(value.shape)}{'' if value.device.type == 'cpu' else ' meta'}{few}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, dict):
        return ", ".join(f"{key}={shown(one)}" for key, one in value.items())
    return repr(value)


def call(schema: Any, arguments: list[Any], named: dict[str, Any]) -> None:
    operator = torch._C._get_operation_overload(schema.name, schema.overload_name)
    function = operator[0] if operator else torch._C._jit_get_operation(schema.name)[0]
    with torch.inference_mode():
        function(*arguments, **named)


def data_in_use() -> int:
    """Bytes, as RLIMIT_DATA counts them."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmData:")[1].split()[0]) << 10


def child(name: str, choice: list[Any], valid: Valid, round_: int, note: mmap.mmap) -> None:
    """Never returns."""
    faulthandler.disable()
    guard = getattr(ctypes.CDLL(None), "guard_memory", None)
    if guard:
        guard()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = data_in_use() + MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    signal.alarm(4 * CPU_SECONDS)
    passed = 0
    for index in range(CALLS):
        schema = choice[index % len(choice)]
        try:
            arguments, named = drawn(f"{name} {round_} {index}", schema, valid)
            text = f"{schema.name}.{schema.overload_name}({shown(arguments)}, {shown(named)})"
            note[:NOTE] = text.encode()[:NOTE].ljust(NOTE, b"\0")
            call(schema, arguments, named)
            del arguments, named
            passed += 1
        except BaseException:  # to be refused is well
            continue
    note[:NOTE] = str(passed).encode().ljust(NOTE, b"\0")
    os._exit(0)


def died(names: list[str], seconds: float, first_round: int) -> Iterator[dict[str, Any]]:
    """What ended a process; the last yield says how much was called."""
    known = schemas(set(names))
    valid = valid_calls()
    note = mmap.mmap(-1, NOTE)
    end = time.monotonic() + seconds
    counts = {"processes": 0, "passed": 0, "timeouts": 0}
    round_ = first_round
    while time.monotonic() < end:
        for name in names:
            if time.monotonic() >= end:
                break
            note[:NOTE] = b"\0" * NOTE
            pid = os.fork()
            if pid == 0:
                child(name, known.get(name, []), valid, round_, note)
            _, status = os.waitpid(pid, 0)
            counts["processes"] += 1
            text = note[:NOTE].rstrip(b"\0").decode(errors="replace")
            if not os.WIFSIGNALED(status):
                counts["passed"] += int(text or 0)
            elif os.WTERMSIG(status) in DEADLY:
                died_of = signal.Signals(os.WTERMSIG(status)).name
                yield {"operator": name, "signal": died_of, "round": round_, "call": text}
            else:
                counts["timeouts"] += 1
        round_ += 1
    yield {"rounds": round_ - first_round, **counts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--round", type=int, default=0)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for line in died(asked.names or allowed(), asked.seconds, asked.round):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())  # type: ignore[func-returns-value]
