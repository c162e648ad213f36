"""The page in real Chromium: no error, every picture there, nothing sticks out, soon painted."""

from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Cli
from tests.report.chromium import program, screenshot, visit
from tests.report.keyboard import opened

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(program() is None, reason="no Chromium: scripts/setup --tests installs it"),
]


@pytest.fixture(scope="module")
def page(ran: Path, evident: Path) -> Path:
    """With everything that a page can have."""
    from pipeline.config.file import load_config
    from pipeline.report.page import page_of
    from pipeline.workspace.folder import Workspace

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


def test_it_reads_by_keyboard(page: Path) -> None:
    """Tab goes through all that can be done, in the page's order, and shows where it is."""
    with opened(page, 390) as browser:
        stops = [browser.press("Tab")]
        while len(stops) < 200 and (stop := browser.press("Tab"))["tag"] != "body":
            stops.append(stop)
        assert [stop["label"] for stop in stops if not stop["outlined"] or not stop["seen"]] == []
        labels = [stop["label"] for stop in stops]
        assert labels[:3] == ["To the content", "Overview", "Parity"]
        assert {"Every artifact in every runtime", "Speed and memory"} <= set(labels)
        assert "summary" in {stop["tag"] for stop in stops}


def test_its_parts_answer_to_keys(page: Path) -> None:
    with opened(page, 390) as browser:
        browser.press("Tab")
        assert browser.press("Enter")["hash"] == "#content"
        stop = browser.press("Tab")
        while stop["tag"] != "summary":
            stop = browser.press("Tab")
        assert stop["open"] is False
        assert browser.press("Enter")["open"] is True
        table = browser.press("Tab")
        assert table["wide"], "the table of layers is no wider than a phone: nothing to scroll"
        for _ in range(100):  # it scrolls smoothly
            if table["scrolled"]:
                break
            table = browser.press("ArrowRight")
        assert table["scrolled"] > 0


@pytest.mark.parametrize("width", [390, 1280])
def test_it_can_be_looked_at(page: Path, tmp_path: Path, width: int) -> None:
    """A screenshot that is not blank."""
    screenshot(page, tmp_path / "page.png", width, 2000)
    image = Image.open(tmp_path / "page.png").convert("L").crop((0, 0, width, 2000))
    assert len(image.getcolors() or range(999)) > 50
