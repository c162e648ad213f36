"""The page in real Chromium: no error, every picture there, nothing sticks out, soon painted."""

from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Cli
from tests.report.chromium import program, screenshot, visit

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(program() is None, reason="no Chromium: scripts/setup --tests installs it"),
]


@pytest.fixture(scope="module")
def page(ran: Path, evident: Path) -> Path:
    """With everything that a page can have."""
    from pipeline.config_file import load_config
    from pipeline.report.page import page_of
    from pipeline.workspace import Workspace

    path = evident.parent / "page.html"
    path.write_text(page_of(load_config(ran), Workspace(evident)), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [390, 1280])
def test_it_stands_in_a_browser(page: Path, width: int) -> None:
    seen, console = visit(page, width)
    assert console == []
    assert seen["images"] == [True]
    assert seen["plots"] >= 10
    assert seen["content_width"] <= seen["width"], "the page sticks out to the right"
    assert seen["requests"] == [], "the page asks for something from elsewhere"
    assert seen["lost"] == [], "a link of the navigation leads nowhere"
    assert seen["paint_ms"] < 1000
    assert page.stat().st_size < 3_000_000


def test_the_comparison_stands_too(ran: Path, cli: Cli) -> None:
    assert cli("report", "-c", ran, "--compare", "tiny").returncode == 0
    seen, console = visit(ran / "runs" / "tiny" / "comparison" / "index.html", 390)
    assert console == []
    assert seen["content_width"] <= seen["width"]
    assert seen["plots"] >= 4


@pytest.mark.parametrize("width", [390, 1280])
def test_it_can_be_looked_at(page: Path, tmp_path: Path, width: int) -> None:
    """A screenshot that is not blank."""
    screenshot(page, tmp_path / "page.png", width, 2000)
    image = Image.open(tmp_path / "page.png").convert("L").crop((0, 0, width, 2000))
    assert len(image.getcolors() or range(999)) > 50
