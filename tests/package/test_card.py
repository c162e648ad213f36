"""The model card: its code runs, its tables say what the manifest says."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.bundle import open_bundle


def snippets(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name", ["bundle", "several"])
def test_the_code_of_the_card_runs(
    name: str, number: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(request.getfixturevalue(name), tmp_path / "its bundle"))
    code = snippets((bundle / "README.md").read_text(encoding="utf-8"))
    assert len(code) == 2
    assert ("onnxruntime" in code[0]) and ("torch.jit.load" in code[1])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code[number]],
        cwd=bundle,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    errors = [float(text) for text in re.findall(r"differs from PyTorch by (\S+)", done.stdout)]
    assert len(errors) == (1 if name == "bundle" else 2)
    assert max(errors) < 1e-5
    if name == "bundle":
        opened = open_bundle(bundle)
        golden = opened.manifest.golden[0].outputs[0]
        labels = (bundle / "labels.txt").read_text(encoding="utf-8").split()
        assert done.stdout.splitlines()[-1] == labels[int(opened.array(golden).argmax())]


def test_a_picture_of_ones_own_goes_in_as_the_card_says(bundle: Path, tmp_path: Path) -> None:
    """The comment behind `inputs` shows how to open a file: that code runs too."""
    from PIL import Image

    Image.new("RGB", (20, 10), "white").save(tmp_path / "picture.png")
    code = snippets((bundle / "README.md").read_text(encoding="utf-8"))[0]
    own = re.search(r"# or: (\[.*\])", code)
    assert own is not None
    code = re.sub(r"inputs = \[.*", lambda _: f"inputs = {own.group(1)}", code)
    head = f"from PIL import Image\npath = {str(tmp_path / 'picture.png')!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", head + code], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_card_says_what_one_must_know(bundle: Path) -> None:
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "**Verdict: pass.**" in card
    for heading in (
        *("What goes in", "What comes out", "Artifacts", "Accuracy", "How to run it"),
        *("Golden samples", "Made with", "License"),
    ):
        assert f"\n## {heading}\n" in card
    for part in (
        "| image | uint8 | any × any × any × 1 |",
        "upright, lying",
        "Accuracy",
        "LibTorch",
    ):
        assert part in card
    assert "pipeline bench" in card
    assert "Latency on" not in card  # it would differ from run to run


def test_the_card_beside_the_bundle_has_the_latencies(bundle: Path) -> None:
    card = (bundle.parent / "MODEL-CARD.md").read_text(encoding="utf-8")
    inside = (bundle / "README.md").read_text(encoding="utf-8")
    ours, rest = card.split("\n\n## What goes in", 1)
    theirs, end = inside.split("\n\n## What goes in", 1)
    assert rest.startswith(end)
    why = "**onnx-fp32 ships first**, since no other that passed was measurably faster"
    assert f"{why} where they were measured." in theirs  # no time in the bundle
    size = (bundle / "artifacts" / "model.fp32.onnx").stat().st_size
    assert f"{why} where they were measured: 1 ms (p50 in onnxruntime), {size:,} bytes" in ours
    assert re.search(
        r"Accuracy 0\.\d{4} \(PyTorch itself 0\.\d{4}\), largest error \S+e-\d+\.", ours
    )
    table = rest[len(end) :]
    assert "A processor, 2 cores" in table
    assert "| onnx-fp32 | onnxruntime | 1 | 4.00 | 1.50 | 1.00 | 1.25 | 2.00 |" in table
    assert "1000 at 1, 4000 at 8, 5000 at 16" in table
    assert "it ended with signal 6" in table


def test_every_table_has_as_many_cells_as_headings(bundle: Path, several: Path) -> None:
    for path in (bundle, several):
        for card in (path / "README.md", path.parent / "MODEL-CARD.md"):
            width = 0
            for line in card.read_text(encoding="utf-8").splitlines():
                cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
                assert not (width and cells) or cells == width, line
                width = cells
