from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from halfsim.plotting import learning_curves, loss_scale, palette


@pytest.fixture
def axes() -> Any:
    return Figure().subplots()


def test_curves_are_means_in_bands(axes: Any) -> None:
    curves = [("binary32", [[1.0, 2.0], [3.0, 4.0]]), ("mixed", [[1.0, 1.0], [1.0, np.nan]])]
    assert learning_curves(axes, [0, 10], curves, ylabel="loss") is axes
    baseline, mixed, _ = axes.lines
    assert baseline.get_ydata().tolist() == [2.0, 3.0]
    assert baseline.get_linewidth() > mixed.get_linewidth()
    assert np.isnan(mixed.get_ydata()[1])
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == pytest.approx((2 - 2**0.5, 3 + 2**0.5))
    assert list(axes.get_legend_handles_labels()[1]) == ["binary32", "mixed (not finite at 10)"]
    assert axes.get_ylabel() == "loss"


def test_one_seed_has_a_band_of_no_width(axes: Any) -> None:
    learning_curves(axes, [0, 1], [("a", [[0.5, 0.25]])], ylabel="accuracy", percent=True)
    assert axes.lines[0].get_ydata().tolist() == [50.0, 25.0]
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (25.0, 50.0)


def test_a_curve_ends_in_a_cross_where_a_seed_is_not_finite(axes: Any) -> None:
    curves = [("binary32", [[1.0, 1.0, 1.0]]), ("broken", [[3.0, 2.0, np.nan], [3.0, 2.0, 1.0]])]
    learning_curves(axes, [0, 10, 20], curves, ylabel="loss")
    _, broken, cross = axes.lines
    assert broken.get_label() == "broken (not finite at 20)"
    assert cross.get_marker() == "x"
    assert (cross.get_xdata().tolist(), cross.get_ydata().tolist()) == ([10], [2.0])


def test_infinity_is_not_drawn(axes: Any) -> None:
    learning_curves(axes, [0, 1], [("a", [[1.0, np.inf], [1.0, 2.0]]), ("b", [[np.nan, np.nan]])], ylabel="loss")
    assert np.isnan(axes.lines[0].get_ydata()[1])
    assert [line.get_label() for line in axes.lines if line.get_label()[0] != "_"] == [
        "a (not finite at 1)",
        "b (not finite)",
    ]
    axes.figure.canvas.draw()


def test_skipped_steps_are_ticks_in_the_colour_of_their_policy(axes: Any) -> None:
    looks = palette(["binary32", "other", "dynamic"])
    skipped = {"binary32": [], "dynamic": [3, 7]}
    learning_curves(
        axes, [0, 10], [(name, [[1.0, 0.5]]) for name in skipped], ylabel="loss", skipped=skipped, looks=looks
    )
    ticks = axes.collections[-1]
    assert [path.vertices[0, 0] for path in ticks.get_paths()] == [3, 7]
    assert ticks.get_colors()[0][:3].tolist() == pytest.approx([0xD5 / 255, 0x5E / 255, 0])
    assert "skipped" in axes.get_xlabel()


def test_the_scale_is_a_staircase(axes: Any) -> None:
    runs = [[(0, 16.0), (3, 8.0)], [(0, 16.0)]]
    loss_scale(axes, [("dynamic", runs)], last=10, skipped={"dynamic": [2]})
    first, second = axes.lines
    assert first.get_drawstyle() == "steps-post"
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([0, 3, 10], [16.0, 8.0, 8.0])
    assert (list(second.get_xdata()), list(second.get_ydata())) == ([0, 10], [16.0, 16.0])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["dynamic"]
