"""One process of a training that something else has started: `pipeline train`, once more."""

import os
import sys
import threading
import time
from typing import Any

from pipeline.errors import PipelineError
from pipeline.train.launch import worker_errors


def main() -> None:
    """`python -m pipeline.cli.worker ARGUMENTS`: under torchrun's elastic agent."""
    from pipeline.cli.app import main as command

    folder = worker_errors.folder()
    code = worker_errors.final_code(folder) if folder else None
    if code is not None:
        sys.exit(code)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    sys.argv[0] = "pipeline"
    command()


def on_ray(settings: dict[str, Any]) -> None:
    """In a worker of Ray, which has made the process group and set the environment of a rank."""
    from pipeline.cli.app import app

    os.chdir(settings["folder"])
    os.environ[worker_errors.FOLDER] = settings["errors"]
    try:
        app(settings["arguments"], standalone_mode=False)
    except PipelineError as error:
        worker_errors.write(error, type(error).__name__ == "LostPeersError")
        raise


def _end_with(agent: int) -> None:
    """An agent that was killed cannot end its processes: they see it and end themselves."""
    while os.getppid() == agent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    main()
