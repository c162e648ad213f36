"""What lies in the folder afterwards, and what the user has heard."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.workspace.artifacts import read_json, sha256_of
from tests.export.conftest import IMAGE, ROWS, export

FILES = {"model.fp32.pt", "model.fp32.onnx", "signature.json", "artifacts.json"}

SCRIPT = """
import sys
from pathlib import Path
if sys.argv[2] == "busy":  # a process that has compiled other things before
    import torch
    torch.jit.script(torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.Linear(2, 2)))
from tests.export.conftest import IMAGE, export
for capture, formats in (("trace", ["torchscript", "onnx"]), ("script", ["torchscript"])):
    export(Path(sys.argv[1]) / capture, "cnn", input=IMAGE, output={"kind": "classification"},
           export={"capture": capture, "formats": formats})
"""


def test_the_same_bytes_from_any_folder_and_process(tmp_path: Path) -> None:
    """Another folder, hash seed and history of the process: the same files, with no path inside."""
    secret = "zq-Ordner-πχ"
    folders = [tmp_path / "one", tmp_path / f"two {secret}" / "deeper"]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, folder, history],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.DEVNULL,
        )
        for seed, (folder, history) in enumerate(zip(folders, ("fresh", "busy"), strict=True))
    ]
    assert [process.wait() for process in running] == [0, 0]
    made = sorted(path.relative_to(folders[0]) for path in folders[0].glob("*/export/*"))
    assert len(made) == 4 + 3
    for name in made:
        first, second = (folder / name for folder in folders)
        assert first.read_bytes() == second.read_bytes(), name
        data = second.read_bytes()
        for path in (secret, str(tmp_path), str(Path(__file__).parents[2]), sys.prefix):
            assert path.encode() not in data, (name, path)


def test_the_index_tells_the_truth(folder: Path) -> None:
    result = export(folder, "cnn", input=IMAGE)
    assert {path.name for path in result.out.iterdir()} == FILES
    for format, artifact in result.artifacts.items():
        path = result.path(format)
        assert artifact.id == f"{format}-fp32"
        assert artifact.bytes == path.stat().st_size
        assert artifact.sha256 == sha256_of(path)
        assert artifact.operators
        assert artifact.version >= 3
    assert read_json(result.out / "signature.json") == result.summary["signature"]
    assert {"a batch of 1", "a batch of 3"} <= set(result.summary["checked_on"])


@pytest.mark.parametrize("model", ["branch", "tokens"])
def test_only_the_reporter_speaks(
    folder: Path, capfd: pytest.CaptureFixture[str], model: str, recwarn: pytest.WarningsRecorder
) -> None:
    """Tracers warn, torch.export prints its graph: the user hears each once, in plain words."""
    inputs = (
        {"shapes": {"tokens": ["batch", "length"]}, "dtypes": {"tokens": "int64"}}
        if model == "tokens"
        else ROWS
    )
    result = export(folder, model, input=inputs)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    # Setting the test up scripts and traces nothing, so whatever warned came from the stage.
    assert [str(warning.message) for warning in recwarn] == []
    texts = result.report.warnings
    assert bool(texts) == (model == "branch")  # whose own line has a branch
    assert len(texts) == len(set(texts))
    for text in texts:
        assert "\n" not in text
        assert "TracerWarning" not in text
        assert "http" not in text
        assert str(folder) not in text


def test_torchs_loggers_are_as_before(folder: Path) -> None:
    import logging

    logger = logging.getLogger("torch.onnx")
    before = logger.handlers, logger.propagate, sys.stdout, sys.stderr
    export(folder, "twins", input={"shapes": {"x": ["batch", 64]}})
    assert (logger.handlers, logger.propagate, sys.stdout, sys.stderr) == before


def test_a_format_that_nobody_named_is_left_out_with_its_reason(folder: Path) -> None:
    result = export(folder, "Projected", input=ROWS)
    assert list(result.artifacts) == ["torchscript"]
    (warning,) = (text for text in result.report.warnings if text.startswith("Left out: ONNX"))
    assert "LSTM" in warning or "lstm" in warning
    assert not result.path("torchscript").with_suffix(".onnx").exists()


def test_a_format_that_was_named_is_an_error(folder: Path) -> None:
    with pytest.raises(UsageError, match="no exporter succeeds"):
        export(folder, "Projected", input=ROWS, export={"formats": ["torchscript", "onnx"]})
