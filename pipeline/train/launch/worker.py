"""One process of a training that the elastic agent has started: `pipeline train`, once more."""

import os
import runpy
import sys
import threading
import time

from pipeline.train.launch import told


def main() -> None:
    where = told.folder()
    code = told.is_over(where) if where else None
    if code is not None:
        sys.exit(code)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    sys.argv[0] = "pipeline"
    # The command as a user calls it, by its name: it lies above the stages.
    runpy.run_module("pipeline.cli", run_name="__main__")


def _end_with(agent: int) -> None:
    """An agent that was killed cannot end its processes: they see it and end themselves."""
    while os.getppid() == agent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
