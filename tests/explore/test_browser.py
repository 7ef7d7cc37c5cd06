"""The page in a real Chromium, driven as a person would: what it shows is what the Python API says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from halfsim.explore.page import export
from halfsim.explore.server import Server
from tests.explore.questions import dot_products, expected, operations, serving, sums

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install Debian's chromium")

# Types into fields as events say it, waits for the answer, and reads what is shown.
_OPERATION = """
async ([fields, rows]) => {
  for (const [id, value] of fields) {
    const place = document.getElementById(id);
    place.value = value;
    place.dispatchEvent(new Event('input', {bubbles: true}));
  }
  const answer = document.getElementById(rows === '#roundings tbody tr' ? 'operation-answer' : 'dot-answer');
  while (answer.getAttribute('aria-busy') !== 'false') await new Promise((done) => setTimeout(done, 5));
  if (answer.hidden) return null;
  return [...document.querySelectorAll(rows)].map((row) => [...row.cells].map((cell) => cell.textContent));
}
"""
_WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@dataclass
class Shown:
    """One page, and everything that it said and asked for."""

    page: Any
    url: str
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, fragment: str = "") -> None:
        # The fragment alone would not load the page again.
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}#{fragment}")
        self.settle("dot" if "view=dot" in fragment else "operation")

    def settle(self, view: str = "operation") -> None:
        self.page.wait_for_selector(f"#{view}-answer[aria-busy=false]", state="attached")

    def ask(self, asked: dict[str, Any]) -> list[list[str]]:
        fields = [(key, asked[key]) for key in ("operation", "environment", "bits", "seed")]
        fields += list(zip("abc", asked["operands"], strict=False))
        rows: list[list[str]] = self.page.evaluate(_OPERATION, [fields, "#roundings tbody tr"])
        return rows


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def shown(server: Server, browser: Any) -> Iterator[Shown]:
    """A fresh page; whatever a test does, the page complains of nothing and asks nobody else."""
    with browser.new_context(viewport={"width": 1200, "height": 900}) as context:
        one = Shown(context.new_page(), server.url)
        one.page.set_default_timeout(30_000)
        one.page.on("console", lambda message: one.messages.append(message.text))
        one.page.on("pageerror", lambda error: one.messages.append(str(error)))
        one.page.on("request", lambda request: one.requests.append(request.url))
        one.open()
        yield one
        assert one.messages == []
        assert [url for url in one.requests if not url.startswith((server.url, "about:"))] == []


def results(rows: list[list[str]]) -> list[tuple[str, list[str]]]:
    return [(cells[1], [] if cells[4] == "none" else cells[4].split(", ")) for cells in rows]


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_operations_show_what_the_api_says(shown: Shown, count: int) -> None:
    for asked in operations(count, seed=21):
        assert results(shown.ask(asked)) == expected(asked), asked


@pytest.mark.parametrize("count", [8, pytest.param(25, marks=pytest.mark.slow)])
def test_dot_products_show_what_the_api_says(shown: Shown, count: int) -> None:
    shown.open("view=dot")
    for asked in dot_products(count, seed=22):
        shown.page.evaluate(
            "rows => document.querySelectorAll('#rows input').forEach(box => box.checked = rows.includes(box.value))",
            asked["rows"],
        )
        fields = [(f"dot-{key}", asked[key]) for key in "abc"]
        rows = shown.page.evaluate(_OPERATION, [fields, "#compared tbody tr"])
        want = dict(zip(asked["rows"], sums(asked), strict=True))
        assert {cells[0]: cells[2] for cells in [row[:3] for row in rows]} == want, asked
        assert shown.page.locator("#cards article").count() == len(want)


def test_typing_and_choosing_work_as_a_person_does_it(shown: Shown) -> None:
    page = shown.page
    page.select_option("#operation", "fma")
    for name, text in zip("abc", ("0x3c01", "0x3c01", "-0x1.004p0"), strict=True):
        page.fill(f"#{name}", "")
        page.type(f"#{name}", text)
    page.wait_for_selector("#command:has-text('fma 0x3c01 0x3c01 0xbc01')")
    asked = {
        "operation": "fma",
        "operands": ["0x3c01", "0x3c01", "0xbc01"],
        "environment": "IEEE",
        "bits": "8",
        "seed": "1",
    }
    rows = [row.all_inner_texts() for row in (r.locator("th, td") for r in page.locator("#roundings tbody tr").all())]
    assert results(rows) == expected(asked)
    page.click("#roundings button:has-text('roundTowardPositive')")
    assert page.input_value("#rounding") == "rup"
    assert "rounding=rup" in page.url
    assert page.inner_text("#command").endswith("--rounding rup --environment ieee")
    page.select_option("#operation", "sqrt")
    shown.settle()
    assert page.is_hidden("#operand-b") and page.is_hidden("#operand-c")


def test_a_bit_is_flipped_by_keyboard(shown: Shown) -> None:
    page = shown.page
    shown.open("view=operation&operation=add&a=1&b=0&environment=IEEE&rounding=rne&bits=8&seed=1")
    page.focus("#a")
    page.keyboard.press("Tab")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused) == "a, sign, bit 15: 0"
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused) == "a, fraction, bit 1: 0"
    page.keyboard.press("Space")
    page.wait_for_selector("#a-bits button:focus[aria-pressed=true]")
    shown.settle()
    assert page.evaluate(focused) == "a, fraction, bit 1: 1", "the focus stays"
    assert page.input_value("#a") == "0x3c02"
    assert "0x3c02" in page.inner_text("#result")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "b", "one stop for all bits"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid", "the focus is seen"


def test_a_bit_is_flipped_by_a_click(shown: Shown) -> None:
    shown.open("view=operation&operation=multiply&a=1&b=2&environment=IEEE")
    shown.page.click("#b-bits .sign button")
    shown.page.wait_for_selector("#b-bits .sign button[aria-pressed=true]")
    shown.settle()
    assert "0xc000 = -0x1p+1 = -2" in shown.page.inner_text("#result")
    assert shown.page.get_attribute("#b-bits .sign button", "aria-pressed") == "true"


def test_invalid_input_shows_a_message_beside_its_field(shown: Shown) -> None:
    page = shown.page
    for field_, text, words in (
        ("a", "two", "operand a: 'two' is not a bit pattern"),
        ("b", "0x12345", "wider than the 16 bits"),
        ("bits", "99", "integer from 1 to 32"),
        ("a", "\uff11\uff12", "operand a: '\uff11\uff12' is not a bit pattern"),
        ("a", "<img src=x onerror=alert(1)>", "operand a: '<img src=x onerror=alert(1)>' is not"),
    ):
        page.fill(f"#{field_}", text)
        page.wait_for_selector(f"#{field_}-error:not([hidden])")
        assert words in page.inner_text(f"#{field_}-error")
        assert page.get_attribute(f"#{field_}", "aria-invalid") == "true"
        assert page.is_hidden("#operation-answer"), "no result stands beside numbers that it is not of"
        assert page.locator("main img").count() == 0
        page.fill(f"#{field_}", "1")
        page.wait_for_selector("#operation-answer:not([hidden])")
        assert page.is_hidden(f"#{field_}-error")
        assert page.get_attribute(f"#{field_}", "aria-invalid") is None


@pytest.mark.parametrize(("view", "field_"), [("operation", "a"), ("dot", "dot-a")])
def test_input_without_end_is_refused_without_a_request(shown: Shown, view: str, field_: str) -> None:
    # The fixture fails for whatever the console reports, as it would a refused request.
    shown.open(f"view={view}")
    shown.page.fill(f"#{field_}", "1 " * 40_000)
    shown.page.wait_for_selector(f"#{view}-error:not([hidden])")
    assert "the input is too long: 8" in shown.page.inner_text(f"#{view}-error")
    shown.page.fill(f"#{field_}", "1")
    shown.page.wait_for_selector(f"#{view}-error", state="hidden")


def test_invalid_dot_products_show_a_message(shown: Shown) -> None:
    shown.open("view=dot&a=1,2&b=1&rows=fp32")
    assert "a has 2 numbers and b has 1" in shown.page.inner_text("#dot-b-error")
    shown.open("view=dot&a=1,x&b=1,2&rows=fp32")
    assert "operand a[1]: 'x'" in shown.page.inner_text("#dot-a-error")
    shown.open("view=dot&a=1&b=1&rows=nonsense")
    assert "no accumulator is chosen" in shown.page.inner_text("#dot-rows-error")


def test_an_address_shows_what_it_says(shown: Shown) -> None:
    shown.ask({"operation": "divide", "operands": ["1", "3"], "environment": "ARM", "bits": "5", "seed": "6"})
    shown.page.select_option("#rounding", "rdn")
    address, before = shown.page.url, shown.page.inner_text("main")
    shown.open(address.partition("#")[2])
    assert shown.page.inner_text("main") == before
    assert "halfsim explain divide 0x3c00 0x4200 --rounding rdn --environment arm" in before
    # Hostile ones do no harm.
    shown.open("view=__proto__&operation=constructor&environment=%3Cscript%3E&rounding=toString&a=1&b=1")
    assert shown.page.input_value("#operation") == "add"
    assert "0x4000" in shown.page.inner_text("#result")


def test_no_width_scrolls_sideways(shown: Shown) -> None:
    for width in (320, 390, 768):
        shown.page.set_viewport_size({"width": width, "height": 800})
        for fragment in ("view=operation&operation=fma&a=0.1&b=0x1p-24&c=65504", "view=dot"):
            shown.open(fragment)
            assert not shown.page.evaluate(_WIDER), (width, fragment)


def test_text_can_be_read_in_dark_and_light(shown: Shown) -> None:
    page = shown.page
    lightness = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(lightness)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(lightness)
    assert light != dark
    for theme, ground in (("light", light), ("dark", dark), ("system", dark)):
        page.click("#theme")
        assert page.inner_text("#theme") == f"Theme: {theme}"
        assert page.evaluate(lightness) == ground
        for selector in ("main", ".hint", "#rounding", ".flag.raised", "tr.chosen button", ".bit.on", ".pattern"):
            assert contrast(page, selector) >= 4.5, (theme, selector)
    page.click("#theme")
    page.reload()
    assert page.inner_text("#theme") == "Theme: light", "the choice is kept"


def contrast(page: Any, selector: str) -> float:
    """Contrast ratio of WCAG 2.2 between the text of an element and what it stands on."""
    text, ground = page.evaluate(
        """(selector) => {
          const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
          const read = (color) => {
            paint.clearRect(0, 0, 1, 1); paint.fillStyle = color; paint.fillRect(0, 0, 1, 1);
            return [...paint.getImageData(0, 0, 1, 1).data];
          };
          let place = document.querySelector(selector);
          const style = getComputedStyle(place);
          const text = read(place instanceof SVGElement ? style.fill : style.color);
          while (read(getComputedStyle(place).backgroundColor)[3] === 0) place = place.parentElement;
          return [text, read(getComputedStyle(place).backgroundColor)];
        }""",
        selector,
    )

    def luminance(color: list[int]) -> float:
        channels = [c / 255 for c in color[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(text), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_policy_that_is_broken_is_heard(shown: Shown) -> None:
    """The page may ask nobody else; and a test that hears nothing would prove nothing."""
    assert shown.page.evaluate("fetch('https://example.invalid/').then(() => 'asked', () => 'refused')") == "refused"
    assert any("Content Security Policy" in text for text in shown.messages)
    shown.messages.clear()


def test_a_server_that_is_gone_is_said_to_be(browser: Any) -> None:
    with serving() as server, browser.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        page.wait_for_selector("#operation-answer[aria-busy=false]")
        page.route("**/api/*", lambda route: route.abort())
        page.fill("#a", "3")
        page.wait_for_selector("#operation-error:not([hidden])")
        assert "does not answer" in page.inner_text("#operation-error")


def test_an_answer_that_takes_long_is_announced(browser: Any) -> None:
    with serving() as server, browser.new_context() as context:
        page = context.new_page()
        page.goto(server.url)
        page.wait_for_selector("#operation-answer[aria-busy=false]")
        assert page.is_hidden("#slow")
        held: list[Any] = []
        page.route("**/api/*", lambda route: held.append(route))
        page.fill("#a", "3")
        page.wait_for_selector("#slow:not([hidden])")
        assert "compiles first" in page.inner_text("#slow")
        held[0].continue_()
        page.wait_for_selector("#operation-answer[aria-busy=false]")
        assert page.is_hidden("#slow")


def test_the_exported_page_shows_its_examples_without_a_server(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from halfsim.explore import page as pages

    some = pages.dot_examples()[:2]
    monkeypatch.setattr("halfsim.explore.page.dot_examples", lambda: some)
    export(tmp_path)
    said: list[str] = []
    with browser.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto((tmp_path / "index.html").as_uri())
        page.wait_for_selector("#operation-answer[aria-busy=false]")
        assert page.is_visible("#limited")
        assert page.is_hidden("#operation-hint"), "there is no bit to click"
        assert page.locator("#a-bits button").count() == 0
        for selector in ("#a", "#b", "#bits", "#seed", "#operation", "#environment"):
            check_fixed(page, selector, "operation-fixed")
        for number, example in enumerate(pages.EXAMPLES):
            page.select_option("#operation-example", str(number))
            page.wait_for_selector(f"#command:has-text('explain {example['asked']['operation']} ')")
            page.wait_for_selector("#operation-answer[aria-busy=false]")
            patterns = [text.split()[0] for text in page.locator(".operand:visible .reading").all_inner_texts()]
            rows = [row.locator("th, td").all_inner_texts() for row in page.locator("#roundings tbody tr").all()]
            assert results(rows) == expected({**example["asked"], "operands": patterns})
        page.click("#show-dot")
        page.wait_for_selector("#dot-answer[aria-busy=false]")
        assert page.locator("#cards article").count() == 6
        for selector in ("#dot-a", "#dot-b", "#dot-c", "[id='row-h100:f32']"):
            check_fixed(page, selector, "dot-fixed")
        assert page.locator("select:enabled:visible").count() == 1
    assert said == []


def check_fixed(page: Any, selector: str, note: str) -> None:
    """Check that a field looks fixed, says so to who sees and to who hears it, and takes no key."""
    field = page.locator(selector)
    assert not field.is_editable() if field.get_attribute("readonly") is not None else field.is_disabled()
    assert note in field.get_attribute("aria-describedby").split()
    assert "read-only" in page.inner_text(f"#{note}")
    edge = "e => getComputedStyle(e.type === 'checkbox' ? e.closest('fieldset') : e).borderTopStyle"
    assert field.evaluate(edge) == "dashed"
    if field.is_visible():
        assert contrast(page, selector) >= 4.5


def test_fields_of_a_served_page_do_not_look_fixed(shown: Shown) -> None:
    assert shown.page.is_hidden("#operation-fixed")
    for selector in ("#a", "#operation", "#environment"):
        assert shown.page.is_enabled(selector)
        assert shown.page.locator(selector).evaluate("e => getComputedStyle(e).borderTopStyle") == "solid"
