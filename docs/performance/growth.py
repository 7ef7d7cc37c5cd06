"""Draw how cost grows: writes `growth.svg` from `growth.json`, what `halfsim bench` wrote of its growth families."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from halfsim.plotting.style import palette, tidy

HERE = Path(__file__).resolve().parent
CALLS = {"add": "add", "float32": "binary32 to binary16"}
STYLE = {"svg.hashsalt": "growth", "svg.fonttype": "none", "font.family": "sans-serif"}


def main(out: Path = HERE / "growth.svg") -> None:
    """Draw the figure."""
    rows = json.loads((HERE / "growth.json").read_text())["rows"]
    looks = palette([*CALLS, "product"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        for begin, label in CALLS.items():
            mine = [row for row in rows if row["family"] == "growth with n" and row["name"].startswith(begin)]
            look = looks[begin]
            places = [row["work"] for row in mine]
            left.plot(places, [row["rate"] for row in mine], marker=look.marker, color=look.colour, label=label)
        left.set(xscale="log", yscale="log", xlabel="elements of a call", ylabel="elements per second")
        left.legend(frameon=False)
        mine = [row for row in rows if row["family"] == "growth with K"]
        look = looks["product"]
        # A product of 64 x K x 64.
        terms = [row["work"] // 64**2 for row in mine]
        right.plot(terms, [row["rate"] for row in mine], marker=look.marker, color=look.colour)
        right.set_xscale("log", base=2)
        right.set(xlabel="K, at 64 x K x 64 on H100's row", ylabel="multiply-adds per second", ylim=(0, None))
        for axes in (left, right):
            tidy(axes)
        figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    main()
