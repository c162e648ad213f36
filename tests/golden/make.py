#!/usr/bin/env python3
"""Makes a bundle like the frozen ones:  python -m tests.golden.make PROJECT FOLDER

`bundle-v1/` and `bundle-v2/` are read by the tests of every reader, in every language, for as long
as their schemas are read at all. They are never made again; this file says how they were made, of
`project/` and `project-v2/`, and makes the next schema's. FOLDER must not exist. The stages are the
real ones.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from pipeline import export, package, quantize, train, verify
from pipeline.config.file import load_config
from pipeline.system.machine import describe
from pipeline.system.progress import Silent
from pipeline.workspace.results.base import write_result
from pipeline.workspace.results.bench import BENCH
from pipeline.workspace.stage import Job
from tests.results import bench


def make(project: Path, folder: Path) -> None:
    """Runs every stage but bench, of which no figure goes into a bundle: the rule orders it."""
    config = load_config(project)
    with tempfile.TemporaryDirectory() as work:
        done: dict[str, Path] = {}
        for stage in (train, export, quantize, verify, package):
            name = stage.__name__.rpartition(".")[2]
            out, scratch = Path(work) / name, Path(work) / f"{name} scratch"
            out.mkdir()
            scratch.mkdir()
            if stage is package:
                done["bench"] = Path(work)
                write_result(Path(work) / BENCH, bench([], machine=describe()))
            stage.run(Job(config, done, out, scratch, Silent()))
            done[name] = out
        shutil.copytree(done["package"] / f"{config.name}.bundle", folder)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    make(Path(sys.argv[1]), Path(sys.argv[2]))
