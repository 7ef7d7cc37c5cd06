"""What the events of runs say per layer and step: the ledger as maps of shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.studies.store import event_of

__all__ = ["PANELS", "SWALLOWED", "Maps", "maps_of"]

_GRADIENTS = ("activation gradient", "weight gradient")
_STORED = ("activation", *_GRADIENTS, "weight")
PANELS = {
    "gradients flushed": (_GRADIENTS, "flushed"),
    "updates lost": (("update",), "lost"),
    "overflowed": (_STORED, "overflowed"),
    "NaN": (_STORED, "nan"),
}
"""What a map counts: of which tensors, and which of their counts. Shares are of the elements that are not zero, and of
the updates that are not zero."""

SWALLOWED = "partial sums swallowed"
"""Of products: steps of a sequential sum, or blocks of a matrix unit."""


@dataclass(frozen=True, slots=True)
class Maps:
    """The ledger of some runs over layers and steps.

    Parameters
    ----------
    layers : tuple of str
        In the order of the network.
    steps : tuple of int
        The sampled steps.
    shares : dict of (layers, steps) arrays
        From 0 to 1, NaN where nothing was counted, by what was counted.
    """

    layers: tuple[str, ...]
    steps: tuple[int, ...]
    shares: dict[str, NDArray[np.float64]]


def maps_of(paths: Sequence[Path]) -> Maps | None:
    """Return the maps of runs that differ in their seeds alone, counts summed; None if no event has a ledger.

    Parameters
    ----------
    paths : sequence of Path
        Files of events, one JSON object per line; missing files count as empty, and so does a line cut off by a kill.

    Raises
    ------
    ValueError
        For a line with a ledger that is no event of a run.
    """
    counts: dict[tuple[str, str, int], NDArray[np.float64]] = {}
    for path in paths:
        for event in _ledgers(path):
            for (panel, layer), pair in _pairs(event):
                key = (panel, layer, event["step"])
                counts[key] = counts.get(key, np.zeros(2)) + pair
    if not counts:
        return None
    layers = tuple(dict.fromkeys(layer for _, layer, _ in counts))
    steps = tuple(sorted({step for _, _, step in counts}))
    column = {step: i for i, step in enumerate(steps)}
    shares = {panel: np.full((len(layers), len(steps)), np.nan) for panel in (*PANELS, SWALLOWED)}
    for (panel, layer, step), (some, all) in counts.items():
        shares[panel][layers.index(layer), column[step]] = some / all if all else np.nan
    return Maps(layers, steps, {panel: array for panel, array in shares.items() if np.isfinite(array).any()})


def _ledgers(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                # Most lines are losses; only those of sampled steps are worth parsing.
                if b'"ledger"' in line and line.endswith(b"\n"):
                    yield event_of(path, number, line, "ledger", "step")
    except FileNotFoundError:
        return


def _pairs(event: dict[str, Any]) -> Iterator[tuple[tuple[str, str], NDArray[np.float64]]]:
    """Yield (elements it happened to, elements that it could happen to) per panel and layer."""
    for layer, kinds in event["ledger"].items():
        for panel, (wanted, what) in PANELS.items():
            for kind in wanted:
                if what in (counted := kinds.get(kind, {})):
                    possible = counted["moves"] if what == "lost" else counted["elements"] - counted["zero"]
                    yield (panel, layer), np.array([counted[what], possible], np.float64)
    for layer, products in event.get("swallowed", {}).items():
        for pair in products.values():
            yield (SWALLOWED, layer), np.array(pair, np.float64)
