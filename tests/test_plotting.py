from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from halfsim.plotting import COLOURS, gradient_histogram, learning_curves


@pytest.fixture
def axes() -> Any:
    return Figure().subplots()


def test_curves_are_means_in_bands(axes: Any) -> None:
    curves = [("binary32", [[1.0, 2.0], [3.0, 4.0]]), ("mixed", [[1.0, 1.0], [1.0, np.nan]])]
    assert learning_curves(axes, [0, 10], curves, ylabel="loss") is axes
    baseline, mixed = axes.lines
    assert baseline.get_ydata().tolist() == [2.0, 3.0]
    assert baseline.get_linewidth() > mixed.get_linewidth()
    assert np.isnan(mixed.get_ydata()[1])
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == pytest.approx((2 - 2**0.5, 3 + 2**0.5))
    assert list(axes.get_legend_handles_labels()[1]) == ["binary32", "mixed"]
    assert axes.get_ylabel() == "loss"


def test_one_seed_has_a_band_of_no_width(axes: Any) -> None:
    learning_curves(axes, [0, 1], [("a", [[0.5, 0.25]])], ylabel="accuracy", percent=True)
    assert axes.lines[0].get_ydata().tolist() == [50.0, 25.0]
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (25.0, 50.0)


def test_the_histogram_is_a_share_of_all_elements_over_the_zones(axes: Any) -> None:
    counts = [0] * 79
    counts[0] = 50  # exact zeros
    counts[1 + 60 - 30] = 30  # [2^-30, 2^-29): stored as zero
    counts[1 + 60 - 20] = 20  # subnormal
    assert gradient_histogram(axes, [("weight gradients", counts)], scale=1024.0) is axes
    values, edges, _ = axes.patches[-1].get_data() if hasattr(axes.patches[-1], "get_data") else _stairs(axes)
    share = dict(zip(edges[:-1].tolist(), values.tolist(), strict=True))
    assert share[-30.0] == 30
    assert share[-20.0] == 20
    assert sum(share.values()) == 50
    label = axes.get_legend().get_texts()[0].get_text()
    assert "50 % exact zeros" in label
    assert "60 % of the others" in label
    assert {line.get_xdata()[0] for line in axes.lines} >= {-25, -14}
    assert {text.get_text() for text in axes.texts} >= {"stored as zero", "subnormal", "normal", "× 1024"}


def _stairs(axes: Any) -> Any:
    return next(patch for patch in axes.patches if hasattr(patch, "get_data")).get_data()


def test_the_legend_of_the_histogram_covers_nothing() -> None:
    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    axes = figure.subplots()
    curves = [("activation gradients", [1] * 79), ("weight gradients", [2] * 79)]
    gradient_histogram(axes, curves, scale=1024.0)
    figure.draw_without_rendering()
    legend = axes.get_legend().get_window_extent()
    assert legend.y1 <= axes.xaxis.label.get_window_extent().y0
    assert legend.y0 >= 0 and legend.x0 >= 0 and legend.x1 <= figure.bbox.x1


def test_an_empty_histogram_can_be_drawn(axes: Any) -> None:
    gradient_histogram(axes, [("none", [0] * 79)])
    axes.figure.canvas.draw()


def test_colours_differ() -> None:
    assert len(set(COLOURS)) == len(COLOURS)
