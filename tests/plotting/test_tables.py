from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from halfsim.plotting import (
    disagreement,
    error_against_length,
    layer_errors,
    ledger_map,
    lost_updates,
    memory_bars,
    required_scale,
)
from halfsim.plotting.layers import SHARES


@pytest.fixture
def axes() -> Any:
    return Figure(layout="constrained").subplots()


def test_errors_are_medians_in_bands_and_zeros_have_no_place(axes: Any) -> None:
    rows = [
        {"accumulator": "fp16", "K": k, "error": e} for k, e in [(64, 0.1), (64, 0.3), (64, 0.2), (16, 0.01), (16, 0)]
    ]
    rows += [{"accumulator": "exact", "K": 16, "error": 0.0}, {"accumulator": "exact", "K": 64, "error": None}]
    assert error_against_length(axes, rows) is axes
    fp16, exact = axes.lines
    assert (fp16.get_xdata().tolist(), fp16.get_ydata().tolist()) == ([16, 64], [0.01, 0.2])
    assert exact.get_xdata().tolist() == []
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (0.01, 0.3)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_lines_can_be_chosen(axes: Any) -> None:
    rows = [{"accumulator": name, "K": 16, "error": 0.1} for name in "abc"]
    error_against_length(axes, rows, only=["c", "a"])
    assert [line.get_label() for line in axes.lines] == ["c", "a"]


def test_lost_updates_are_points_in_per_cent(axes: Any) -> None:
    rows = [
        {"policy": "a", "updates_lost": 0.5, "accuracy_gap": -0.1},
        {"policy": "b", "updates_lost": 0, "accuracy_gap": None},
    ]
    lost_updates(axes, rows)
    _, a, b = axes.lines
    assert (a.get_xdata(), a.get_ydata()) == ((50.0,), (-10.0,))
    assert np.isnan(b.get_ydata()[0])


def test_a_bar_reaches_from_the_smallest_scale_to_the_largest(axes: Any) -> None:
    rows = [
        {"model": "fits", "smallest_99": 4.0, "smallest_999": 8.0, "largest": 1024.0},
        {"model": "never", "smallest_99": 4.0, "smallest_999": None, "largest": 2.0},
    ]
    required_scale(axes, rows)
    (bar,) = axes.patches
    assert (bar.get_x(), bar.get_x() + bar.get_width()) == (4.0, 1024.0)
    low, high = axes.get_xlim()
    assert low <= 0.5 and high >= 2048
    assert [label.get_text() for label in axes.get_yticklabels()] == ["fits", "never"]


def test_several_columns_name_a_bar(axes: Any) -> None:
    rows = [{"a": "net", "b": kind, "smallest_99": 1.0, "smallest_999": 2.0, "largest": 4.0} for kind in "xy"]
    required_scale(axes, rows, by=["a", "b"])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["net, x", "net, y"]


def test_bars_of_memory_are_stacked_and_compared(axes: Any) -> None:
    rows = [{"policy": "binary32", "weights": 4e6, "activations": 12e6}, {"policy": "mixed", "activations": 8e6}]
    memory_bars(axes, rows)
    assert axes.get_xlabel() == "memory, MB"
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(0, 4), (0, 0), (4, 12), (0, 8)]
    assert [text.get_text().strip() for text in axes.texts] == ["1.00 ×", "0.50 ×"]


def test_nothing_to_hold_can_be_drawn(axes: Any) -> None:
    memory_bars(axes, [{"policy": "none", "weights": 0}])
    axes.figure.canvas.draw()


def test_pairs_are_symmetric(axes: Any) -> None:
    disagreement(axes, [{"first": "a", "second": "b", "share": 0.004}, {"first": "c", "second": "a", "share": 1}])
    assert sorted(text.get_text() for text in axes.texts) == ["0.4 %", "0.4 %", "100 %", "100 %"]
    shown = axes.images[0].get_array()
    assert shown.mask.tolist() == [[True, False, False], [False, True, True], [False, True, True]]


def test_a_map_is_blank_where_nothing_happened_and_clipped_below_its_scale(axes: Any) -> None:
    ledger_map(axes, [0, 10, 20], ["conv1", "fc"], [[0, 1e-9, 1], [np.nan, 0.5, 0.25]], title="flushed")
    image = axes.images[0]
    assert image.get_array().filled(-1).tolist() == [[-1, SHARES[0], 1], [-1, 0.5, 0.25]]
    assert image.get_extent() == [0, 30, 1.5, -0.5]


def test_a_map_of_one_step_can_be_drawn(axes: Any) -> None:
    ledger_map(axes, [7], ["fc"], [[0.5]])
    assert axes.images[0].get_extent()[:2] == [7, 8]
    axes.figure.canvas.draw()


@pytest.mark.parametrize("figure", ["memory", "scales"])
def test_nothing_is_cut_off(figure: str) -> None:
    drawn = Figure(figsize=(5.6, 3), layout="constrained")
    axes = drawn.subplots()
    name = "a policy with a very long name that goes on"
    if figure == "memory":
        kinds = ("weights", "master weights", "activations", "activation gradients", "optimizer state")
        memory_bars(axes, [{"policy": name, **dict.fromkeys(kinds, 10)}])
    else:
        required_scale(axes, [{"model": name, "smallest_99": 1.0, "smallest_999": 2.0, "largest": 2.0**30}])
    drawn.draw_without_rendering()
    for part in (axes.get_legend(), *axes.get_yticklabels(), *axes.texts):
        box = part.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= drawn.bbox.x1 and box.y1 <= drawn.bbox.y1


LENGTHS = [{"accumulator": "fp16", "K": 16, "error": 0.1}]
UPDATES = [{"policy": "a", "updates_lost": 0.5, "accuracy_gap": -0.1}]
SCALES = [{"model": "m", "smallest_99": 1.0, "smallest_999": 2.0, "largest": 4.0}]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda axes: error_against_length(axes, LENGTHS, error="gap"),
            r"^error_against_length: row 0 has no column 'gap', as error= names it; "
            r"its columns are \['accumulator', 'K', 'error'\]$",
        ),
        (lambda axes: error_against_length(axes, [*LENGTHS, {"K": 1}]), "row 1 has no column 'accumulator', as by="),
        (
            lambda axes: error_against_length(axes, LENGTHS, only=["fp16", "zz"]),
            r"only=\['fp16', 'zz'\] asks for 'zz', which no row has in the column 'accumulator'; "
            r"pass some of \['fp16'\]$",
        ),
        (lambda axes: lost_updates(axes, UPDATES, by="model"), "^lost_updates: row 0 has no column 'model', as by="),
        (lambda axes: disagreement(axes, [{"first": "a", "second": "b"}]), "^disagreement: .* 'share', as share="),
        (lambda axes: required_scale(axes, SCALES, smallest=["smallest_9"]), "^required_scale: .* as smallest= names"),
        (lambda axes: required_scale(axes, SCALES, by=["model", "task"]), "^required_scale: .* 'task', as by= names"),
        (lambda axes: memory_bars(axes, [{"weights": 4}]), "^memory_bars: row 0 has no column 'policy', as by= names"),
        (
            lambda axes: memory_bars(axes, [{"policy": "a", "weights": 4}], classes=["weight"]),
            r"^memory_bars: classes=\['weight'\] asks for 'weight', a column that no row has; "
            r"pass some of \['weights'\]$",
        ),
        (lambda axes: layer_errors(axes, [{"policy": "a", "layer": "fc"}]), "'relative', as measure= names it"),
        (
            lambda axes: ledger_map(axes, [0, 1], ["fc"], [[0.5]]),
            r"^ledger_map: shares has the shape \(1, 1\); pass \(1, 2\), a share for every layer and step$",
        ),
    ],
)
def test_what_a_table_lacks_is_told(axes: Any, draw: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(axes)
    assert not axes.lines and not axes.patches
