from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from halfsim.plotting import gradient_histogram


@pytest.fixture
def axes() -> Any:
    return Figure().subplots()


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


def test_the_arrow_is_as_long_as_the_scale_moves(axes: Any) -> None:
    counts = [0] * 79
    counts[1 + 60 - 30] = 7
    gradient_histogram(axes, [("gradients", counts)], scale=2.0**12)
    arrow = next(text for text in axes.texts if text.get_text() == "")
    assert arrow.xy[0] - arrow.xyann[0] == 12
    assert arrow.xyann[0] == -29.5


def test_what_is_not_finite_is_counted_in_the_legend(axes: Any) -> None:
    gradient_histogram(axes, [("gradients", [0] * 78 + [3])])
    assert "3 not finite" in axes.get_legend().get_texts()[0].get_text()


@pytest.mark.parametrize(("scaled", "words"), [(False, "without loss scale"), (True, "with its loss scale")])
def test_the_axis_says_whether_gradients_are_scaled(axes: Any, scaled: bool, words: str) -> None:
    gradient_histogram(axes, [("gradients", [1] * 79)], scaled=scaled)
    assert axes.get_xlabel().endswith(words)


@pytest.mark.parametrize(("scale", "text"), [(2.0**20, "× 2$^{20}$"), (1024.0, "× 1024"), (1.5e9, "× 1.5e+09")])
def test_large_scales_are_written_as_powers_of_two(axes: Any, scale: float, text: str) -> None:
    gradient_histogram(axes, [("gradients", [1] * 79)], scale=scale)
    assert text in [each.get_text() for each in axes.texts]
