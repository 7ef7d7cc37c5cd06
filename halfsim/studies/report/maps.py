"""The ledger of runs as a figure: a row of maps per policy, layers down and steps across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from halfsim import plotting
from halfsim.plotting.style import INK, wrapped
from halfsim.studies.report.drawing import Drawing, slug
from halfsim.studies.report.events import Maps, maps_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ledger_maps"]

Run: TypeAlias = Mapping[str, Any]
Part: TypeAlias = Mapping[str, Any]
_LETTERS = 10
"""Letters of a title in an inch."""
_BAR = 0.85
"""Inches at the right for the bar of colours."""
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
    panels = [name for name in counted if any(_panel(one, name).any() for one in maps.values())]
    never = [name for name in counted if name not in panels]
    width = 2.6 + 2.6 * len(panels)
    titles = {name: wrapped(name, int(_LETTERS * width)) for name in maps}
    more = {name: _MORE * title.count("\n") for name, title in titles.items()}
    heights = [0.5 + _ROW * max(len(one.layers), 2) + more[name] for name, one in maps.items()]
    heights[0] += _ROW
    heights[-1] += 2 * _ROW

    def draw(figure: Figure) -> None:
        from matplotlib.ticker import MaxNLocator

        alike = len({tuple(one.steps) for one in maps.values()}) == 1
        left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[width - _BAR, _BAR])[0]
        boxes = left.subfigures(len(maps), 1, height_ratios=heights, squeeze=False)[:, 0]
        for i, (box, (name, one)) in enumerate(zip(boxes, maps.items(), strict=True)):
            grid = _row(box, titles[name], one, panels)
            last = i == len(maps) - 1
            for axes, panel in zip(grid, panels, strict=True):
                axes.set_title(panel if i == 0 else "", fontsize=10, color=INK)
                axes.set_xlabel("step" if last else "")
                # Numbers are written once: laying them out again under every row takes longer than the maps do.
                axes.tick_params(axis="x", labelbottom=last or not alike)
                # One at the edge would stand out, and its row be narrower than the others.
                axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True, prune="upper"))
        _bar(right, grid[-1].images[0])

    rows = [
        {"variant": name, "counted": panel, "layer": layer, "step": step, "share": float(one.shares[panel][i, j])}
        for name, one in maps.items()
        for panel in one.shares
        for i, layer in enumerate(one.layers)
        for j, step in enumerate(one.steps)
    ]
    unseen = f" Never: {', '.join(never)}." if never else ""
    return Drawing(
        name=slug(part["name"], "ledger"),
        title="The ledger by layer and step",
        caption=f"Shares of what is not zero, all seeds together; blank where it never happened.{unseen}",
        size=(width, sum(heights) + 0.2),
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


def _bar(box: Any, image: Any) -> None:
    """Draw the bar of colours that all maps share."""
    bar = box.colorbar(image, cax=box.add_subplot(label="<colorbar>"))
    bar.set_label("share", color=INK)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_linewidth(0.5)


def _panel(one: Maps, name: str) -> Any:
    return np.nan_to_num(one.shares[name]) if name in one.shares else np.zeros((len(one.layers), len(one.steps)))


def _marked(one: Maps) -> bool:
    return any(_panel(one, name).any() for name in one.shares)
