from __future__ import annotations

import itertools
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from matplotlib import rcParams, style
from matplotlib.figure import Figure

from halfsim.plotting import COLOURS, learning_curves, palette
from halfsim.plotting.style import FAINT, INK, wrapped


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


LONG = ", ".join(f"policy.{key}={{'kind': 'dynamic', 'initial': 65536.0}}" for key in ("one", "two", "three"))


@pytest.mark.parametrize("name", [LONG, "a" * 90, "a=b." * 30, "one two", "", "$x$ " * 12])
@pytest.mark.parametrize("width", [20, 50])
def test_wrapped_names_keep_to_their_width(name: str, width: int) -> None:
    shown = wrapped(name, width)
    assert all(len(line.replace(r"\$", "$").strip()) <= width for line in shown.split("\n"))
    assert shown.count("\n") <= 6
    if "…" not in shown:
        assert "".join(shown.replace(r"\$", "$").split()) == "".join(name.split())
    else:
        head, tail = ("".join(part.split()) for part in shown.replace(r"\$", "$").split("…"))
        assert "".join(name.split()).startswith(head) and "".join(name.split()).endswith(tail)


def test_a_word_is_not_cut_where_it_need_not_be() -> None:
    assert wrapped("policy.update=nearest, policy.loss_scale=none", 22).split("\n") == [
        "policy.update=nearest,",
        "policy.loss_scale=none",
    ]
    assert wrapped("policy.update=nearest, b", 15).split("\n") == ["policy.update=", "nearest, b"]


@pytest.mark.parametrize("name", ["$x$", r"$\frac{", "_hidden", "a_b^c", "<script>", "", "  ", "two\nlines", "{}%&#"])
def test_any_name_is_written_letter_by_letter(name: str) -> None:
    axes: Any = Figure().subplots()
    learning_curves(axes, [0, 1], [(name, [[1.0, 2.0]])], ylabel=name)
    axes.figure.canvas.draw()
    (shown,) = axes.get_legend().get_texts()
    assert shown.get_text().replace(r"\$", "$").split() == name.split()


def test_slides_have_the_colours_of_all_figures() -> None:
    with style.context("halfsim.plotting.slide"):
        assert tuple(rcParams["axes.prop_cycle"].by_key()["color"]) == COLOURS[1:]
        inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
        assert {rcParams[name] for name in inked} == {INK}
        assert rcParams["grid.color"] == FAINT
