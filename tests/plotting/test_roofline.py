"""The roofline: the roofs where they are said to be, marks where the figures are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

from halfsim.plotting import roofline


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
