"""Figures of binary16.md. Run as ``python -m docs.explanation.binary16_figures`` from the top of the repository."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import halfsim as hs
from halfsim.plotting.style import COLOURS, FAINT, INK, tidy

HERE = Path(__file__).resolve().parent
FIELDS = (("sign", 15, 15, COLOURS[2]), ("exponent", 10, 14, COLOURS[1]), ("fraction", 0, 9, COLOURS[4]))


def bits(axes: Axes) -> None:
    """Draw the fields of a few numbers, a bit a cell."""
    numbers = [0x3C00, 0x3E00, 0xC500, 0x7BFF, 0x0400, 0x0001, 0x7C00, 0x7E00]
    for row, word in enumerate(numbers):
        for _, low, high, colour in FIELDS:
            for bit in range(low, high + 1):
                one = word >> bit & 1
                cell = (15 - bit + sum(bit < edge for edge in (15, 10)) * 0.4, -row)
                axes.add_patch(
                    mpl.patches.Rectangle(cell, 0.92, 0.8, facecolor=colour if one else "white", edgecolor=colour)
                )
                axes.text(cell[0] + 0.46, cell[1] + 0.38, str(one), ha="center", va="center", fontsize=9,
                          color="white" if one else INK)  # fmt: skip
        value = float(hs.from_bits(np.uint16(word)))
        axes.text(-0.4, 0.38 - row, f"0x{word:04X}", ha="right", va="center", family="monospace", color=INK)
        axes.text(17.3, 0.38 - row, f"{value:.9g}", ha="left", va="center", color=INK)
    for name, low, high, colour in FIELDS:
        middle = 15 - (low + high) / 2 + 0.46 + sum(low < edge for edge in (15, 10)) * 0.4
        axes.text(middle, 1.15, name, ha="center", color=colour)
    axes.set(xlim=(-3, 21), ylim=(-len(numbers) + 0.8, 1.8))
    axes.axis("off")


def spacing(axes: Axes) -> None:
    """Draw the distance between neighbours, over all positive finite numbers."""
    x = hs.from_bits(np.arange(1, 0x7BFF, dtype=np.uint16)).astype(np.float64)
    gap = hs.nextup(x.astype(np.float16)).astype(np.float64) - x
    axes.plot(x, gap, color=COLOURS[1], drawstyle="steps-post")
    axes.plot(x, x * 2.0**-11, color=COLOURS[2], linewidth=1)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.axvspan(2.0**-24, 2.0**-14, color=FAINT, alpha=0.6, linewidth=0)
    axes.text(2.0**-19, 2.0**1, "subnormal", ha="center", color=INK)
    axes.text(1.0, 2.0**-17, "$2^{-11}$ of the number", color=COLOURS[2])
    axes.text(2.0**-4, 2.0**-4, "distance to the next", color=COLOURS[1], ha="right")
    axes.set(xlabel="number", ylabel="distance")
    tidy(axes)


def draw() -> None:
    """Write the figures beside the page."""
    mpl.rcParams["svg.hashsalt"] = "halfsim"  # the same bytes every time
    for name, function, size in (("bits", bits, (7.2, 3.4)), ("spacing", spacing, (6.4, 3.6))):
        figure = Figure(figsize=size, layout="constrained")
        function(figure.subplots())
        figure.savefig(HERE / f"binary16-{name}.svg", metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    draw()
