"""Which loss scales the gradients of a network need and bear, from a short run in binary32."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from halfsim.policy import named
from halfsim.studies import recipes
from halfsim.studies.tables.trained import trained
from halfsim.training.accounting.scale import required_scales
from halfsim.training.experiment import Experiment, Settings
from halfsim.training.tasks import Task

__all__ = ["NETWORKS", "layers", "networks"]

_PERCEPTRON = replace(recipes.SMALL_STEPS, batch=32, steps=400)
NETWORKS: dict[str, tuple[Task, Settings]] = {
    "perceptron": (recipes.DIGITS, _PERCEPTRON),
    "convnet": (recipes.IMAGES, recipes.CONVNET),
    "batch-norm net": (recipes.IMAGES, recipes.NORMALISED),
    "detector": (recipes.CANVASES, recipes.DETECTOR),
    "word LSTM": (recipes.WORDS, recipes.WORD_LSTM),
    "character LSTM": (recipes.CHARACTERS, recipes.CHARACTER_LSTM),
    "transformer": (recipes.CHARACTERS, recipes.TRANSFORMER),
    "GAN": (recipes.ADVERSARIAL, recipes.GAN),
}
"""Tasks and settings by name, as the other studies train them."""

_SAMPLES = 5


def networks(
    names: Sequence[str], steps: int = 50, seeds: int = 1, *, runs: Path | None = None
) -> list[dict[str, Any]]:
    """Return one row per network and kind of gradient, all layers together.

    Parameters
    ----------
    names : sequence of str
        Networks in `NETWORKS`.
    steps : int
        Length of the run in binary32, without a scale; gradients are counted at five steps of it.
    seeds : int
        How many runs.
    runs : Path, optional
        Folder of all runs, where those of the table are kept.

    Returns
    -------
    list of dict
        ``network`` and what `halfsim.training.accounting.scale.required_scales` returns but the layer. Over seeds,
        ``nonzero`` is the sum; the smallest scales are those that every seed needs, the largest one that every seed
        bears, None if a seed's is. ``least_room`` and ``most_room``: the least and the most of the seeds' log2(largest
        / smallest_999), negative where no scale keeps 99.9 % and does not overflow.

    Raises
    ------
    ValueError
        If a network is unknown.

    Examples
    --------
    >>> from halfsim.studies.tables.scales import networks
    >>> row = networks(["perceptron"], steps=5)[0]
    >>> row["network"], row["kind"], row["smallest_99"] <= row["largest"]
    ('perceptron', 'activation gradient', True)
    """
    rows = [{"network": name, **row} for name in names for row in _merged(name, steps, seeds, runs)]
    return [{key: value for key, value in row.items() if key != "layer"} for row in rows if row["layer"] == "all"]


def layers(names: Sequence[str], steps: int = 50, seeds: int = 1, *, runs: Path | None = None) -> list[dict[str, Any]]:
    """Return one row per network, kind of gradient and layer; parameters and columns as of `networks`.

    Parameters
    ----------
    names : sequence of str
        As of `networks`.
    steps, seeds : int
        As of `networks`.
    runs : Path, optional
        As of `networks`.

    Returns
    -------
    list of dict
        Columns as of `networks`, and ``layer``.

    Raises
    ------
    ValueError
        If a network is unknown.

    Examples
    --------
    >>> from halfsim.studies.tables.scales import layers
    >>> sorted({row["layer"] for row in layers(["perceptron"], steps=5)})
    ['linear1', 'linear2', 'loss']
    """
    rows = [{"network": name, **row} for name in names for row in _merged(name, steps, seeds, runs)]
    return [row for row in rows if row["layer"] != "all"]


def _merged(name: str, steps: int, seeds: int, runs: Path | None) -> list[dict[str, Any]]:
    """Return one row per kind of gradient and layer, for all seeds together."""
    together: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for seed in range(seeds):
        for row in _scales(name, steps, seed, runs):
            together.setdefault((row["kind"], row["layer"]), []).append(row)
    return [{"kind": kind, "layer": layer, **_over_seeds(rows)} for (kind, layer), rows in together.items()]


def _over_seeds(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    room = _known([_room(row["smallest_999"], row["largest"]) for row in rows])
    kept = {name: _known([row[name] for row in rows]) for name in ("magnitude", "smallest_99", "smallest_999")}
    largest = _known([row["largest"] for row in rows])
    return {
        "nonzero": sum(row["nonzero"] for row in rows),
        **{name: max(values) if values else None for name, values in kept.items()},
        "largest": min(largest) if largest else None,
        "needs_none": all(row["needs_none"] for row in rows),
        "least_room": min(room) if room else None,
        "most_room": max(room) if room else None,
    }


def _known(values: Sequence[float | None]) -> list[float]:
    """Return the values if all of them are known, none otherwise."""
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else []


def _room(smallest: float | None, largest: float | None) -> float | None:
    return None if smallest is None or largest is None else math.log2(largest / smallest)


@lru_cache(maxsize=32)
def _scales(name: str, steps: int, seed: int, runs: Path | None) -> tuple[dict[str, Any], ...]:
    if name not in NETWORKS:
        raise ValueError(f"networks: {name!r} is unknown; known are {', '.join(NETWORKS)}")
    task, settings = NETWORKS[name]
    short = replace(settings, steps=steps, evaluate_every=steps, sample_every=max(steps // _SAMPLES, 1))
    _, events = trained(Experiment(task=task, settings=short, policy=named("binary32"), seed=seed), runs)
    return tuple(required_scales(events))
