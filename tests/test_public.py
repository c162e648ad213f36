"""The library: what `pipeline` exports is what is documented, and the examples of the page run."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from tests.conftest import PINNED, write_tiny

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_what_is_exported_is_what_is_documented() -> None:
    documented = set(re.findall(r"^\| `(\w+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert documented == set(pipeline.__all__)
    assert dir(pipeline) == sorted(pipeline.__all__)
    for name in pipeline.__all__:
        assert getattr(pipeline, name).__doc__, name


def test_run_is_the_function_whatever_is_imported_first() -> None:
    module = importlib.import_module("pipeline.run")
    assert pipeline.run is module.run
    code = "from pipeline import run; import pipeline.run; from pipeline import run as again;"
    code += "assert run is again and callable(run)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="'pipeline' has no attribute 'rum'"):
        _ = pipeline.rum


def test_importing_it_loads_nothing() -> None:
    code = "import sys, pipeline; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not set(done.stdout.split()) & {"torch", "onnx", "numpy", "pydantic", "rich", "typer"}


@pytest.mark.slow
def test_the_examples_of_the_page_run(tmp_path: Path) -> None:
    """One after the other in one process, as somebody would type them beside `my-model/`."""
    write_tiny(tmp_path / "my-model", (*PINNED, ('name = "tiny"', 'name = "my-model"')))
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 4
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "onnx-fp32" in done.stdout
