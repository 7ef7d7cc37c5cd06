from __future__ import annotations

import itertools
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from halfsim.plotting import COLOURS, learning_curves, palette


def test_colours_differ() -> None:
    assert len(set(COLOURS)) == len(COLOURS)


def test_looks_differ_and_keep_to_their_names() -> None:
    names = [f"policy {i}" for i in range(29)]
    looks = palette(names)
    assert len(set(looks.values())) == 29
    assert looks["policy 0"].colour == COLOURS[0]
    assert palette([*names[:5], "policy 2", *names[5:]]) == looks


def test_neighbours_in_a_palette_differ_in_colour() -> None:
    looks = list(palette(map(str, range(40))).values())
    assert all(one.colour != other.colour for one, other in itertools.pairwise(looks))


@pytest.mark.parametrize("name", ["$x$", r"$\frac{", "_hidden", "a_b^c", "<script>", "", "  ", "two\nlines", "{}%&#"])
def test_any_name_is_written_letter_by_letter(name: str) -> None:
    axes: Any = Figure().subplots()
    learning_curves(axes, [0, 1], [(name, [[1.0, 2.0]])], ylabel=name)
    axes.figure.canvas.draw()
    (shown,) = axes.get_legend().get_texts()
    assert shown.get_text().replace(r"\$", "$").split() == name.split()
