"""What the app's core and the C++ runner say of the same changed model files: the same."""

import random
import subprocess
from pathlib import Path

import pytest

from pipeline.devices.android import jars as known
from pipeline.devices.android import jvm
from pipeline.devices.android.tools import QUICK
from pipeline.system.progress import Silent
from tests.formats.torchscript.mutated import in_cpp, write_cases

HERE = Path(__file__).parent / "validate"
TIMES = 1500  # each file of the corpus


@pytest.mark.full
def test_both_say_the_same(tmp_path: Path) -> None:
    files = tmp_path / "files"
    write_cases(files, random.Random(11), TIMES)
    runner = in_cpp(files, tmp_path)

    core, stdlib = jvm.build(Silent()), known.here(known.STDLIB)
    path = f"{core}:{stdlib}"
    subprocess.run(["javac", "-cp", path, "-d", tmp_path, HERE / "Validate.java"], check=True)
    java = ["java", *QUICK, "-cp", f"{tmp_path}:{path}", "dev.edgepipeline.core.validate.Validate"]
    in_kotlin = subprocess.run([*java, files], check=True, capture_output=True, text=True).stdout

    differences = set(runner.splitlines()) ^ set(in_kotlin.splitlines())
    assert not differences, sorted(differences)[:10]
    taken = runner.count(" accepted")
    print(f"\n{runner.count(chr(10))} files, {taken} accepted")  # noqa: T201
    assert 100 < taken < runner.count(" refused")
