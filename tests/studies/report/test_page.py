"""The page in a real browser: it says nothing, asks for nothing, and fits."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from tests.studies.report.browser import Browser, chromium, find

pytestmark = pytest.mark.skipif(find() is None, reason="needs Chromium")

_OVERFLOWING = """[...document.querySelectorAll('body *')].filter(one => {
    for (let box = one.parentElement; box; box = box.parentElement)
        if (box.matches('.scroll, pre, svg')) return false;
    return one.getBoundingClientRect().right > innerWidth + 0.5;
}).map(one => one.tagName + '.' + one.className)"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(str(find()), tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(sampled: Path) -> Path:
    return sampled / "report.html"


def asked(browser: Browser, page: Path) -> list[str]:
    """What was asked for besides the page itself and what it carries."""
    return [url for url in browser.requests if url != page.resolve().as_uri() and not url.startswith("data:")]


def test_the_page_says_nothing_and_asks_for_nothing(browser: Browser, report: Path) -> None:
    browser.show(1280)
    browser.open(report)
    assert browser.messages == []
    assert asked(browser, report) == []
    assert browser.evaluate("document.scripts.length") == 0
    assert (
        browser.evaluate("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length")
        == 0
    )


def test_a_page_that_does_is_caught(browser: Browser, tmp_path: Path) -> None:
    loud = tmp_path / "loud.html"
    loud.write_text("<img src='picture.png'><script>console.error('no'); nobody()</script><p style='width: 999px'>wide")
    browser.show(360)
    browser.open(loud)
    assert "no" in browser.messages
    assert len(browser.messages) >= 2
    assert asked(browser, loud) == [(tmp_path / "picture.png").as_uri()]
    assert browser.evaluate(_OVERFLOWING) == ["P."]
    assert browser.evaluate("document.documentElement.scrollWidth") > 360


def test_a_page_cannot_ask_for_anything_even_if_it_wanted(browser: Browser, report: Path, tmp_path: Path) -> None:
    """The policy in its head stops scripts and requests."""
    bad = tmp_path / "bad.html"
    evil = "<img src='https://example.invalid/x.png'><script>document.title = 'hacked'</script></main>"
    bad.write_text(report.read_text().replace("</main>", evil))
    browser.open(bad)
    assert sum("Content Security Policy" in message for message in browser.messages) >= 2
    assert browser.evaluate("document.title") == "sample · halfsim"


def test_a_phone_shows_the_page_at_its_own_width(browser: Browser, report: Path) -> None:
    browser.show(360, phone=True)
    browser.open(report)
    assert browser.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [360, 360]


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_the_page_is_as_wide_as_its_window(browser: Browser, report: Path, width: int) -> None:
    browser.show(width)
    browser.open(report)
    assert browser.evaluate("innerWidth") == width
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert browser.evaluate(_OVERFLOWING) == []


def test_wide_tables_scroll_in_their_own_box_on_a_phone(browser: Browser, report: Path) -> None:
    browser.show(360)
    browser.open(report)
    boxes = "[...document.querySelectorAll('.scroll')].filter(box => box.querySelector('table'))"
    assert browser.evaluate(f"{boxes}.some(box => box.scrollWidth > box.clientWidth)") is True
    assert browser.evaluate(f"{boxes}.every(box => getComputedStyle(box).overflowX == 'auto')") is True


def test_light_and_dark_follow_the_reader(browser: Browser, report: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        browser.show(1280, scheme=scheme)
        browser.open(report)
        colours = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        seen[scheme] = [sum(map(int, colour[4:-1].split(","))) for colour in browser.evaluate(colours)]
    assert seen["light"][0] > 700 > 200 > seen["light"][1]
    assert seen["dark"][0] < 200 < 600 < seen["dark"][1]


def test_a_screenshot_is_not_blank(browser: Browser, report: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for width in (360, 1280):
        browser.show(width)
        browser.open(report)
        picture = image.open(io.BytesIO(browser.picture())).convert("L")
        assert picture.width == width
        assert picture.height > 2000
        assert len(picture.getcolors()) > 100


def test_paper_shows_all_of_a_table(browser: Browser, report: Path) -> None:
    # A4 less its margins.
    browser.show(688, media="print", scheme="dark")
    browser.open(report)
    assert browser.evaluate("document.documentElement.scrollWidth") == 688
    overflow = "[...document.querySelectorAll('.scroll')].map(box => getComputedStyle(box).overflowX)"
    assert set(browser.evaluate(overflow)) == {"visible"}
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.printed()[:5] == b"%PDF-"
