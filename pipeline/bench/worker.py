"""The process that measures one contestant: `python -m pipeline.bench.worker`.

The request comes as a line on the standard input, and then a line for each turn. The input stays
open: its end is the parent's, and this process goes with it. Answers are lines of JSON on the
standard output: `{"ready": true}` once everything is imported; `{"begin": PART}` before each part
of a turn, so that the parent knows what was under way at a crash; `{"part": {...}}` for what a part
found; `{"done": true}` at the end of a turn; `{"error": TEXT}` where the runtime, a peer or the
user's model does not do it, `{"internal": TRACEBACK}` for a mistake of this program. What libraries
print goes nowhere.
"""

import json
import os
import queue
import signal
import threading
import traceback
from typing import Any

from pipeline.bench.request import Request, Turn
from pipeline.errors import PipelineError, first_line
from pipeline.runtimes import RunnerError

Lines = queue.SimpleQueue[bytes]


class Answers:
    """The way to the parent."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def say(self, **message: Any) -> None:
        self._file.write(json.dumps(message) + "\n")
        self._file.flush()


def main() -> None:
    answers = Answers()
    lines: Lines = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    request = Request.from_line(lines.get())
    try:
        turn = _contestant(request, answers)
        answers.say(ready=True)
        while True:
            turn(Turn.from_line(lines.get()))
            answers.say(done=True)
    except (PipelineError, RunnerError) as error:
        answers.say(error=first_line(error))
    except Exception:  # a mistake of ours, which is no row's failure
        answers.say(internal=traceback.format_exc())


def _contestant(request: Request, answers: Answers) -> Any:
    """A function that does a turn."""
    from pipeline.runtimes import RUNTIMES

    runtime = RUNTIMES.get(request.runtime)
    if runtime and runtime.program and not request.peer:
        from pipeline.bench.program import ProgramTurns

        return ProgramTurns(request, answers.say)
    from pipeline.bench.session import SessionTurns

    return SessionTurns(request, answers.say)


def _listen(lines: Lines) -> None:
    # Unbuffered: a thread that waits with a buffer's lock makes an interpreter abort at its end.
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        for line in iter(stdin.readline, b""):
            lines.put(line)
    os.killpg(0, signal.SIGKILL)  # this process, which leads the group, and what it has started


if __name__ == "__main__":
    main()
