"""Which loss scales the gradients of a network need and bear, from a short run in binary32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from halfsim.policy import named
from halfsim.studies import recipes
from halfsim.training.accounting.scale import required_scales
from halfsim.training.experiment import Experiment, Settings
from halfsim.training.tasks import Task
from halfsim.training.trainer import Trainer

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


def networks(names: Sequence[str], steps: int = 50) -> list[dict[str, Any]]:
    """Return one row per network and kind of gradient, all layers together.

    Parameters
    ----------
    names : sequence of str
        Networks in `NETWORKS`.
    steps : int
        Length of the run in binary32, without a scale; gradients are counted at five steps of it.

    Returns
    -------
    list of dict
        ``network`` and what `halfsim.training.accounting.scale.required_scales` returns but the layer.

    Examples
    --------
    >>> row = networks(["perceptron"], steps=5)[0]
    >>> row["network"], row["kind"], row["smallest_99"] <= row["largest"]
    ('perceptron', 'activation gradient', True)
    """
    rows = [{"network": name, **row} for name in names for row in _scales(name, steps)]
    return [{key: value for key, value in row.items() if key != "layer"} for row in rows if row["layer"] == "all"]


def layers(names: Sequence[str], steps: int = 50) -> list[dict[str, Any]]:
    """Return one row per network, kind of gradient and layer; parameters and columns as of `networks`.

    Examples
    --------
    >>> sorted({row["layer"] for row in layers(["perceptron"], steps=5)})
    ['linear1', 'linear2', 'loss']
    """
    rows = [{"network": name, **row} for name in names for row in _scales(name, steps)]
    return [row for row in rows if row["layer"] != "all"]


@lru_cache(maxsize=16)
def _scales(name: str, steps: int) -> tuple[dict[str, Any], ...]:
    if name not in NETWORKS:
        raise ValueError(f"networks: {name!r} is unknown; known are {', '.join(NETWORKS)}")
    task, settings = NETWORKS[name]
    short = replace(settings, steps=steps, evaluate_every=steps, sample_every=max(steps // _SAMPLES, 1))
    trainer = Trainer(Experiment(task=task, settings=short, policy=named("binary32"), seed=0))
    events: list[dict[str, Any]] = []
    while not trainer.done:
        events += trainer.advance().lines
    return tuple(required_scales(events))
