"""Figures of rounding-modes.md: a running sum and a heated rod in binary16, to nearest and stochastically.

Run as ``python -m docs.tutorials.rounding_modes`` from the top of the repository.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.plotting.style import INK, below, palette, tidy

HERE = Path(__file__).resolve().parent
NAMES = ["exact", "to nearest", "stochastic, 13 bits", "stochastic, 3 bits"]
ROUNDINGS: dict[str, str | int] = {"to nearest": "rne", "stochastic, 13 bits": 13, "stochastic, 3 bits": 3}


# begin heat
def heat(rounding: str | int, cells: int = 50, steps: int = 12_500) -> NDArray[np.float16]:
    """Return the temperatures of a rod; `rounding` is a direction, or a number of random bits."""
    u = np.zeros(cells + 1, np.float16)
    u[-1] = 1
    for step in range(steps):
        mode = rounding if isinstance(rounding, str) else stochastic(rounding, step * (cells - 1))
        flow = hs.subtract(u[1:], u[:-1])
        change = hs.subtract(flow[1:], flow[:-1])
        u[1:-1] = hs.fma(np.float16(0.2), change, u[1:-1], rounding=mode)
    return u


def stochastic(bits: int, offset: int) -> hs.Stochastic:
    """Return a stochastic rounding that draws the random numbers from `offset` on."""
    return hs.Stochastic(bits=bits, seed=7, offset=offset)


# end heat


def running_sum(rounding: str | int, terms: int = 10_000) -> NDArray[np.float16]:
    """Return every partial sum of so many tenths."""
    tenth, total = np.float16(0.1), np.float16(0)
    sums = np.empty(terms, np.float16)
    for i in range(terms):
        mode = rounding if isinstance(rounding, str) else stochastic(rounding, i)
        total = sums[i] = hs.add(total, tenth, rounding=mode)
    return sums


def draw() -> None:
    """Write both figures beside the page."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "halfsim"  # the same bytes every time
    looks = palette(NAMES)
    figures = {
        "rounding-sum": (
            "terms",
            "sum of tenths",
            np.arange(1, 10_001) * float(np.float16(0.1)),
            running_sum,
            slice(9, None, 90),
        ),
        "rounding-heat": ("place on the rod", "temperature", np.linspace(0, 1, 51), heat, slice(None)),
    }
    for name, (across, up, exact, compute, shown) in figures.items():
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.subplots()
        x = np.arange(1, exact.size + 1) if name == "rounding-sum" else exact
        curves = {"exact": exact} | {label: compute(rounding) for label, rounding in ROUNDINGS.items()}
        for label, y in curves.items():
            axes.plot(x[shown], y[shown], label=label, color=looks[label].colour, linestyle=looks[label].dash)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        tidy(axes)
        below(axes)
        figure.savefig(HERE / f"{name}.svg", metadata={"Date": None}, facecolor="white", edgecolor=INK)


if __name__ == "__main__":
    draw()
