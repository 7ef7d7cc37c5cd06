from __future__ import annotations

import math

import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from halfsim.plotting import layer_errors


def test_one_line_for_each_policy_and_no_point_where_nothing_is_finite() -> None:
    rows = [
        {"policy": policy, "layer": layer, "relative": error, "max_ulp": 2.0}
        for policy, errors in (("mixed", (1e-4, 3e-4)), ("pure", (0.0, math.inf)))
        for layer, error in zip(("_fc", "out"), errors, strict=True)
    ]
    axes = Figure().subplots()
    assert layer_errors(axes, rows, title="a_b") is axes
    mixed, pure = axes.lines
    assert mixed.get_ydata().tolist() == [1e-4, 3e-4]
    assert all(math.isnan(y) for y in pure.get_ydata())
    assert [label.get_text().strip() for label in axes.get_xticklabels()] == ["_fc", "out"]
    assert axes.get_yscale() == "log"
    assert layer_errors(Figure().subplots(), rows, measure="max_ulp").lines[1].get_ydata().tolist() == [2.0, 2.0]
