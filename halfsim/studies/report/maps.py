"""The ledger of runs as a figure: a row of maps per policy, layers down and steps across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from halfsim import plotting
from halfsim.plotting.style import INK, wrapped
from halfsim.studies.report.drawing import Drawing, slug
from halfsim.studies.report.events import SWALLOWED, Maps, maps_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ledger_maps"]

Run: TypeAlias = Mapping[str, Any]
Part: TypeAlias = Mapping[str, Any]
_LETTERS = 10
"""Letters of a title in an inch."""
_BAR = 0.75
"""Inches at the top for the bar of colours."""
_ROW = 0.2
"""Inches of a layer, or of a line of text."""
_MORE = 0.17
"""Inches of every line of a title after the first."""


def ledger_maps(part: Part, shown: Mapping[str, Sequence[Run]], folder: Path) -> Drawing | None:
    """Return the ledger of the shown rows of a part by layer and step; None if nothing was ever lost.

    Parameters
    ----------
    part : mapping
        As ``results.json`` holds it.
    shown : mapping of row to runs
        What is drawn, a row of maps each.
    folder : Path
        Of the runs; ``RUN/events.jsonl`` in it is read.
    """
    found = {name: maps_of([folder / run["id"] / "events.jsonl" for run in runs]) for name, runs in shown.items()}
    # What stores everything in binary32 loses nothing that could be seen here.
    maps = {name: one for name, one in found.items() if one is not None and _marked(one)}
    if not maps:
        return None
    counted = list(dict.fromkeys(name for one in maps.values() for name in one.shares))
    panels = [name for name in counted if any(_happened(one, name) for one in maps.values())]
    never = [name for name in counted if name not in panels]
    width = 2.6 + 2.6 * len(panels)
    titles = {name: wrapped(name, int(_LETTERS * width)) for name in maps}
    more = {name: _MORE * title.count("\n") for name, title in titles.items()}
    heights = [0.5 + _ROW * max(len(one.layers), 2) + more[name] for name, one in maps.items()]
    heights[0] += _ROW
    heights[-1] += 2 * _ROW

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        # Names of layers take room: only where they are the same do the maps stand one below the other.
        alike = len({(one.steps, one.layers) for one in maps.values()}) == 1
        top, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[_BAR, sum(heights)])[:, 0]
        boxes = below.subfigures(len(maps), 1, height_ratios=heights, squeeze=False)[:, 0]
        for i, (box, (name, one)) in enumerate(zip(boxes, maps.items(), strict=True)):
            grid = _row(box, titles[name], one, panels)
            last = i == len(maps) - 1
            for axes, panel in zip(grid, panels, strict=True):
                axes.set_title(panel if i == 0 else "", fontsize=10, color=INK)
                axes.set_xlabel("step" if last else "")
                # Numbers are written once: laying them out again under every row takes longer than the maps do.
                axes.tick_params(axis="x", labelbottom=last or not alike)
                # One at an edge would stand out, and its row be narrower than the others.
                axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True, prune="both"))
        _bar(top, grid[-1].images[0], len(panels))

    rows = [
        {"variant": name, "counted": panel, "layer": layer, "step": step, "share": float(one.shares[panel][i, j])}
        for name, one in maps.items()
        for panel in one.shares
        for i, layer in enumerate(one.layers)
        for j, step in enumerate(one.steps)
    ]
    unseen = f" Never where it was counted: {', '.join(never)}." if never else ""
    watched = " Partial sums are those of products; sums of reductions are not watched." if SWALLOWED in counted else ""
    return Drawing(
        name=slug(part["name"], "ledger"),
        title="The ledger by layer and step",
        caption="Shares of what is not zero, all seeds together; white where it did not happen, grey where it was not "
        f"counted.{unseen}{watched}",
        size=(width, sum(heights) + _BAR + 0.2),
        draw=draw,
        rows=rows,
    )


def _row(box: Any, title: str, one: Maps, panels: Sequence[str]) -> list[Any]:
    """Draw the maps of one row of the part side by side."""
    box.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    grid = np.atleast_1d(box.subplots(1, len(panels)))
    for i, (axes, panel) in enumerate(zip(grid, panels, strict=True)):
        plotting.ledger_map(axes, one.steps, one.layers, _panel(one, panel), names=i == 0)
    return list(grid)


def _bar(box: Any, image: Any, panels: int) -> None:
    """Draw the bar of colours that all maps share, above the first of them: there a narrow screen shows it."""
    place = box.add_gridspec(1, 2, width_ratios=[1, max(panels - 1, 0.01)])[0]
    bar = box.colorbar(image, cax=box.add_subplot(place, label="<colorbar>"), orientation="horizontal")
    bar.set_label("share", color=INK)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_linewidth(0.5)


def _panel(one: Maps, name: str) -> Any:
    """Return shares, NaN where nothing was counted."""
    return one.shares.get(name, np.full((len(one.layers), len(one.steps)), np.nan))


def _happened(one: Maps, name: str) -> bool:
    return bool((np.nan_to_num(_panel(one, name)) > 0).any())


def _marked(one: Maps) -> bool:
    return any(_happened(one, name) for name in one.shares)
