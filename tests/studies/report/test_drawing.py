from __future__ import annotations

import csv
import itertools
import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from matplotlib.text import Text

from halfsim.plotting import learning_curves, ledger_map, palette
from halfsim.studies.report.drawing import Drawing, inline, save_drawing, slug
from halfsim.studies.report.figures import drawings
from halfsim.studies.report.gradients import gradients_of
from tests.studies.report import records


def drawing(name: str = "a", label: str = "binary32") -> Drawing:
    def draw(figure: Any) -> None:
        first, second = figure.subplots(1, 2)
        learning_curves(first, [0, 1], [(label, [[1.0, 2.0]]), ("mixed", [[1.0, 3.0]])], ylabel="loss")
        ledger_map(second, [0, 1], ["fc"], [[0.5, 0]])

    return Drawing(name=name, title="T", caption="", size=(5, 3), draw=draw, rows=[{"step": 0, "loss": 1.0}])


def test_the_same_drawing_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        save_drawing(drawing(), tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["a.csv", "a.png", "a.svg"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert (tmp_path / "one" / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    svg = (tmp_path / "one" / "a.svg").read_text()
    assert "<metadata>" not in svg and not re.search(r"20\d\d-\d\d", svg), "a date"
    with (tmp_path / "one" / "a.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"step": "0", "loss": "1.0"}]


def test_the_settings_of_the_user_do_not_matter(tmp_path: Path) -> None:
    import matplotlib as mpl

    save_drawing(drawing(), tmp_path / "one")
    with mpl.rc_context(
        {"axes.facecolor": "red", "font.size": 20, "savefig.transparent": True, "svg.fonttype": "none"}
    ):
        save_drawing(drawing(), tmp_path / "two")
    for name in ("a.png", "a.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_inlined_drawings_share_no_identifier_and_refer_to_their_own(tmp_path: Path) -> None:
    pages = [inline(save_drawing(drawing(name), tmp_path), i, "T") for i, name in enumerate("ab", 1)]
    identifiers = [re.findall(r'\bid="([^"]*)"', page) for page in pages]
    assert len(set(identifiers[0] + identifiers[1])) == len(identifiers[0]) + len(identifiers[1]) > 100
    for page, own in zip(pages, identifiers, strict=True):
        references = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page)
        assert references and {one or other for one, other in references} <= set(own)


def test_an_inlined_drawing_fits_its_box_and_follows_the_page(tmp_path: Path) -> None:
    page = inline(save_drawing(drawing(), tmp_path), 1, 'a "title" <b>')
    head = page[: page.index(">")]
    assert head.startswith("<svg ") and "viewBox=" in head
    assert not re.search(r"\b(width|height)=", head)
    assert 'aria-label="a &quot;title&quot; &lt;b&gt;"' in head
    assert "var(--ink)" in page and "var(--paper)" in page and "#24292f" not in page
    assert "<!--" not in page and "<?xml" not in page


def test_no_link_leaves_an_inlined_drawing(tmp_path: Path) -> None:
    page = inline(save_drawing(drawing(), tmp_path), 1, "T")
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert links
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)


def test_long_names_leave_the_axes_their_room_and_are_all_there(tmp_path: Path) -> None:
    names = [
        f"policy.update={update}, policy.loss_scale={{'kind': 'dynamic', 'initial': {scale}}}, policy.forward=h100:f16"
        for update in ("nearest", "stochastic")
        for scale in (65536.0, 4294967296.0)
    ]
    scale = [[0, 8.0], [1, 4.0]]
    runs = [records.run("p", name, 0, {"loss": [2.0, 1.0]}, scale=scale) for name in names]
    for run in runs:
        records.write_events(tmp_path, run["id"], records.events(0, 0.5, 0.5))
    made = drawings(
        {"name": "p", "names": names, "shown": names, "gradients": gradients_of(names, runs)},
        runs,
        palette(names),
        tmp_path / "runs",
    )
    assert [one.name for one in made] == ["p-loss", "p-gradients", "p-scale", "p-ledger", "p-memory"]
    for one in made:
        figure = saved(one, tmp_path)
        panels = [axes.get_window_extent() for axes in figure.axes if axes.get_label() != "<colorbar>"]
        for row in {round(panel.y0) for panel in panels}:
            across = sum(panel.width for panel in panels if round(panel.y0) == row)
            assert across > 0.4 * figure.bbox.width, one.name
        texts = [text for text in figure.findobj(Text) if text.get_visible() and "policy.update" in text.get_text()]
        boxes = [text.get_window_extent() for text in texts]
        assert len(boxes) == (0 if one.name == "p-gradients" else len(names))
        for box in boxes:
            assert box.x0 >= -2 and box.x1 <= figure.bbox.width + 2, one.name
            assert box.y0 >= -2 and box.y1 <= figure.bbox.height + 2, one.name
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2)), one.name


def saved(drawing: Drawing, folder: Path) -> Any:
    """Save a drawing without a single warning; return its figure with everything in its place."""
    drawn: list[Any] = []

    def draw(figure: Any) -> None:
        drawn.append(figure)
        drawing.draw(figure)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_drawing(replace(drawing, draw=draw), folder)
    # Letters are as large as in the file only at its resolution.
    drawn[0].set_dpi(200)
    drawn[0].draw_without_rendering()
    return drawn[0]


@pytest.mark.parametrize("label", ["\u65e5\u672c", "\U0001f600", "a\u0301"])
def test_letters_that_the_font_lacks_are_no_error(tmp_path: Path, label: str) -> None:
    assert save_drawing(drawing(label=label), tmp_path)


@pytest.mark.parametrize("names", [("../../x",), ("a b", "c:d"), ("",), ("é",), ("CON.",)])
def test_names_of_files_are_plain(names: tuple[str, ...]) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*", slug(*names))
