"""The roofline: the roofs where they are said to be, marks where the figures are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure
from matplotlib.text import Text

from halfsim.plotting import roofline

RUN = json.loads((Path(__file__).parents[2] / "docs/performance/roofline.json").read_text())
SERIES = [(series["name"], series["points"]) for series in RUN["series"]]


def drawn(size: tuple[float, float], series: list, ours: int):
    figure = Figure(figsize=size, layout="constrained")
    axes = roofline(figure.subplots(), series, bandwidth=RUN["bandwidth"], peak=RUN["peak"], ours=ours)
    figure.draw_without_rendering()
    return figure, axes


def test_roofs_and_marks() -> None:
    series = [("conversions", [(0.25, 4e9), (0.125, 3e9)]), ("numpy", [(0.25, 5e8)])]
    axes = roofline(Figure().subplots(), series, bandwidth=2e10, peak=8e10, ours=1)
    roof, ours, peer = axes.get_lines()
    x, y = roof.get_data()
    assert (x[0], y[0]) == (0.05, 1e9)
    assert (x[1], y[1]) == (4.0, 8e10)
    assert y[-1] == 8e10
    assert np.column_stack(ours.get_data()).tolist() == [[0.25, 4e9], [0.125, 3e9]]
    assert (ours.get_markerfacecolor() == "none", peer.get_markerfacecolor() == "none") == (False, True)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["conversions", "numpy"]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_nothing_measured_is_only_the_roofs() -> None:
    axes = roofline(Figure().subplots(), [], bandwidth=2e10, peak=8e10, ours=0)
    assert len(axes.get_lines()) == 1
    assert axes.get_legend() is None


@pytest.mark.parametrize("peers", [1, 10, 25])
def test_no_two_contenders_look_alike(peers: int) -> None:
    names = [f"family {i}" for i in range(15)] + [f"peer {i}" for i in range(peers)]
    _, axes = drawn((8, 6.5), [(name, [(1.0, 1e9)]) for name in names], 15)
    marks = axes.get_lines()[1:]
    looks = [(line.get_marker(), line.get_markeredgecolor()) for line in marks]
    assert len(set(looks)) == len(looks) == 15 + peers
    # Of each kind, as many markers as there are.
    for kind in (looks[:15], looks[15:]):
        assert len({marker for marker, _ in kind}) == min(15, len(kind))


@pytest.mark.parametrize("size", [(8, 6.5), (7.2, 4.8), (4, 6.5)])
def test_no_text_lies_on_a_mark_or_on_another(size: tuple[float, float]) -> None:
    figure, axes = drawn(size, SERIES, RUN["ours"])
    assert sum(len(points) for _, points in SERIES) > 400
    legend = axes.get_legend()
    texts = [*axes.texts, axes.xaxis.label, axes.yaxis.label, *legend.get_texts()]
    # Without the line that leads from a name to what it names.
    boxes = [Text.get_window_extent(text) for text in texts]
    # Marks are 6 points wide.
    room = 3 * figure.dpi / 72
    x, y = axes.transData.transform([point for _, points in SERIES for point in points]).T
    for box in boxes:
        inside = (box.x0 - room < x) & (x < box.x1 + room) & (box.y0 - room < y) & (y < box.y1 + room)
        assert not inside.any()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
    assert not any(first.overlaps(second) for i, first in enumerate(boxes) for second in boxes[:i])
