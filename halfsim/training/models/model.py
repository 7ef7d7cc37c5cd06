"""What every network has: parameters with names, shapes and starting values."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.tape import Tape, Variable
from halfsim.training.words import Words

__all__ = ["Model", "Start", "glorot", "he"]


@dataclass(frozen=True, slots=True)
class Start:
    """Where a parameter starts: uniform in ±limit, times a factor; or everywhere at a constant.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    limit : float
        0 for the constant.
    factor : float
        See above.
    constant : float or tuple of float
        See above; several hold for equal parts of the parameter, in order.

    Examples
    --------
    >>> from halfsim.training.models import Perceptron
    >>> starts = Perceptron(sizes=(54, 10)).starts
    >>> starts["linear1.weight"]
    Start(shape=(54, 10), limit=0.3333333333333333, factor=1.0, constant=0.0)
    """

    shape: tuple[int, ...]
    limit: float = 0.0
    factor: float = 1.0
    constant: float | tuple[float, ...] = 0.0


def he(shape: tuple[int, ...], factor: float = 1.0) -> Start:
    """Return a start with the variance 2 / inputs of He et al. [@he2015]; all axes but the last are inputs."""
    return Start(shape, math.sqrt(6.0 / math.prod(shape[:-1])), factor)


def glorot(shape: tuple[int, ...], outputs: int | None = None) -> Start:
    """Return a start with the variance 2 / (inputs + outputs) of Glorot and Bengio [@glorot2010].

    Parameters
    ----------
    shape : tuple of int
        All axes but the last are inputs.
    outputs : int, optional
        The last axis by default; less where several layers lie side by side.
    """
    return Start(shape, math.sqrt(6.0 / (math.prod(shape[:-1]) + (outputs or shape[-1]))))


class Model(ABC):
    """What tasks and trainers need of a network; the rest follows from `starts`.

    A parameter is called by its layer, a dot and what it is there, as in "conv1.weight".

    Examples
    --------
    >>> from halfsim.training import nn
    >>> from halfsim.training.models import Model
    >>> from halfsim.training.models.model import Start
    >>> class Linear(Model):
    ...     starts = {"linear1.weight": Start((64, 10), limit=0.5)}
    ...     def __call__(self, tape, parameters, x):
    ...         return nn.linear(tape, tape.input(x), parameters["linear1.weight"])
    >>> Linear().shapes, Linear().initial(seed=0).shape
    ({'linear1.weight': (64, 10)}, (640,))
    """

    __slots__ = ()

    @property
    @abstractmethod
    def starts(self) -> dict[str, Start]:
        """Names, shapes and starting values of the parameters, in order."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters, in order."""
        return {name: start.shape for name, start in self.starts.items()}

    @property
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what training keeps beside them: means, which start at zero, and variances, which start at one."""
        return {}

    def initial(self, seed: int) -> Array:
        """Return all parameters as one flat float32 vector.

        With u = 53 bits of a word of ``Words(seed, 0)`` as a fraction, one word per element in order:
        ``limit * (2 u - 1) * factor``, every operation in binary64, then rounded to binary32. IEEE 754 fixes all of
        them. Constants take no words.

        Parameters
        ----------
        seed : int
            Of the run. Networks that differ in anything draw other numbers.
        """
        random = Words(seed, 0)
        parts: list[Array] = []
        for start in self.starts.values():
            size = math.prod(start.shape)
            if start.limit:
                parts.append(start.limit * (2.0 * random.uniform(size) - 1.0) * start.factor)
            else:
                constants = np.atleast_1d(np.asarray(start.constant, np.float64))
                parts.append(np.repeat(constants, size // len(constants)))
        return np.concatenate(parts).astype(np.float32)

    @abstractmethod
    def __call__(self, tape: Tape, parameters: Mapping[str, Variable], x: Any) -> Variable:
        """Return the outputs for a batch: a `Variable`, or an array of integers for models of language."""
