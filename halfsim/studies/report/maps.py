"""The ledger of runs as a figure: a row of maps per policy, layers down and steps across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from halfsim import plotting
from halfsim.plotting.style import INK, written
from halfsim.studies.report.drawing import Drawing, slug
from halfsim.studies.report.events import Maps, maps_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ledger_maps"]

Run: TypeAlias = Mapping[str, Any]
Part: TypeAlias = Mapping[str, Any]


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
    height = sum(0.85 + 0.2 * max(len(one.layers), 2) for one in maps.values()) + 0.2

    def draw(figure: Figure) -> None:
        heights = [2 + len(one.layers) for one in maps.values()]
        boxes = figure.subfigures(len(maps), 1, height_ratios=heights, squeeze=False)[:, 0]
        for i, (box, (name, one)) in enumerate(zip(boxes, maps.items(), strict=True)):
            grid = _row(box, name, one, panels)
            for axes, panel in zip(grid, panels, strict=True):
                axes.set_title(panel if i == 0 else "", fontsize=10, color=INK)
                axes.set_xlabel("step" if i == len(maps) - 1 else "")

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
        size=(2.6 + 2.6 * len(panels), height),
        draw=draw,
        rows=rows,
    )


def _row(box: Any, name: str, one: Maps, panels: Sequence[str]) -> list[Any]:
    """Draw the maps of one row of the part side by side, with their bar of colours."""
    box.suptitle(written(name), x=0.01, ha="left", fontsize=10, fontweight="bold", color=INK)
    grid = np.atleast_1d(box.subplots(1, len(panels)))
    for i, (axes, panel) in enumerate(zip(grid, panels, strict=True)):
        plotting.ledger_map(axes, one.steps, one.layers, _panel(one, panel), names=i == 0)
    bar = box.colorbar(grid[-1].images[0], ax=list(grid), aspect=8, pad=0.01)
    bar.set_label("share", color=INK)
    bar.ax.tick_params(colors=INK)
    bar.outline.set_linewidth(0.5)
    return list(grid)


def _panel(one: Maps, name: str) -> Any:
    return np.nan_to_num(one.shares[name]) if name in one.shares else np.zeros((len(one.layers), len(one.steps)))


def _marked(one: Maps) -> bool:
    return any(_panel(one, name).any() for name in one.shares)
