"""Where which digits are on a canvas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from halfsim.training import nn
from halfsim.training.arithmetic import Array
from halfsim.training.data import Dataset, canvases, heat_map
from halfsim.training.registry import check_count, check_number
from halfsim.training.tape import Tape, Variable
from halfsim.training.tasks.streams import Batches, BatchSize, Examples
from halfsim.training.tasks.task import Parameters, TapeFactory, Task, constant, outputs

__all__ = ["Canvases", "HeatMap"]

_CHUNK = 256


class _Detection(Task):
    """Where is which digit: a sigmoid per position and class, cross entropy averaged over all of them."""

    __slots__ = ()

    def inputs(self, x: Array) -> Array:
        """Return a batch as the network takes it."""
        return x

    def batches(self, seed: int, size: BatchSize) -> Batches:
        """Return batches of inputs and of bool targets."""
        return Examples(*self.data.train, size, seed)

    def loss(self, tape: Tape, model: Any, parameters: Parameters, batch: tuple[Array, Array], phase: str) -> Variable:
        """Return the cross entropy, a mean over all positions and classes of all canvases."""
        logits = model(tape, parameters, constant(tape, self.inputs(batch[0])))
        with tape.layer("loss"):
            return nn.sigmoid_cross_entropy(tape, logits, batch[1].reshape(logits.value.shape))

    def evaluate(self, model: Any, parameters: Parameters, tape_factory: TapeFactory) -> dict[str, float]:
        """Return loss per canvas in nats, accuracy, and false alarms per canvas.

        Accuracy is the share of digits at whose position the largest logit is that of their class. False alarms are the
        probabilities of everything that is not there, added up over a canvas.
        """
        x, targets = self.data.test
        z = np.empty(targets.shape)
        for start in range(0, len(x), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = self.inputs(x[part])
            ((_, logits),) = outputs(model, parameters, tape_factory, rows, len(rows))
            z[part] = logits.reshape(z[part].shape)
        e = np.exp(-np.abs(z))
        losses = np.maximum(z, 0) - np.where(targets, z, 0) + np.log1p(e)
        p = np.where(z >= 0, 1, e) / (1 + e)
        *place, label = np.nonzero(targets)
        right = z[tuple(place)].argmax(axis=1) == label
        return {
            "loss": float(losses.sum() / len(targets)),
            "accuracy": float(right.mean()),
            "false alarms": float(np.where(targets, 0, p).sum() / len(targets)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap(_Detection):
    """Canvases with one digit, over which a network slides: one row of its input is one window of 8 × 8 pixels.

    Parameters
    ----------
    train, test : int
        Canvases.
    size, stride : int
        Pixels of a side, and between two windows.

    Raises
    ------
    ValueError
        If a field is no positive integer.

    Examples
    --------
    >>> from halfsim.training.tasks import HeatMap
    >>> x, y = HeatMap(train=8, test=2).batches(seed=0, size=4).next()
    >>> x.shape, y.shape
    ((4, 256, 64), (4, 256, 10))
    """

    train: int = 1536
    test: int = 256
    size: int = 32
    stride: int = 2

    def __post_init__(self) -> None:
        check_count(self, "train", "test", "size", "stride")

    @property
    def data(self) -> Dataset:
        """Windows (n, positions, 64) and targets (n, positions, 10)."""
        return heat_map(self.train, self.test, self.size, self.stride)

    def inputs(self, x: Array) -> Array:
        """Return the windows of a batch as the rows of a matrix.

        Parameters
        ----------
        x : array
            (n, positions, 64).

        Returns
        -------
        array
            (n positions, 64).
        """
        return x.reshape(-1, x.shape[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvases(_Detection):
    """Canvases with one to three digits, and a network that looks at all of one.

    Parameters
    ----------
    train, test : int
        Canvases.
    size : int
        Pixels of a side; the map has half as many positions.
    noise : float
        Standard deviation.

    Raises
    ------
    ValueError
        If a count is no positive integer, or `noise` no number from 0 to 1.

    Examples
    --------
    >>> from halfsim.training.tasks import Canvases
    >>> x, y = Canvases(train=8, test=2).batches(seed=0, size=4).next()
    >>> x.shape, y.shape
    ((4, 32, 32, 1), (4, 16, 16, 10))
    """

    train: int = 2000
    test: int = 300
    size: int = 32
    noise: float = 0.05

    def __post_init__(self) -> None:
        check_count(self, "train", "test", "size")
        check_number(self, "noise", low=0.0, high=1.0)

    @property
    def data(self) -> Dataset:
        """Images (n, size, size, 1) and targets (n, size / 2, size / 2, 10)."""
        return canvases(self.train, self.test, self.size, 2, self.noise)
