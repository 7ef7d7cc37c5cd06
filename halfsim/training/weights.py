"""The weights of a run and the four ways to move them; all parameters lie in one flat vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from halfsim.accumulators import Exact
from halfsim.formats import BINARY16
from halfsim.linalg import dot
from halfsim.operations import add, subtract
from halfsim.policy import WeightUpdate
from halfsim.rounding import Stochastic
from halfsim.training.arithmetic import Array, round16
from halfsim.training.machine import Machine

__all__ = ["Kahan", "Master", "Nearest", "StochasticallyRounded", "Weights", "make_weights", "split"]


class Weights(Protocol):
    """Weights that can move. `stored` is what takes part in products; it is changed in place."""

    stored: Array

    def move(self, delta: Array) -> Array:
        """Add a float32 Δ; return a bool array that says which weights are as they were."""


class Master:
    """``m = round32(m + Δ)``; the stored weight is m rounded to the storage format."""

    def __init__(self, initial: Array, machine: Machine) -> None:
        self._machine = machine
        self.master = initial.astype(np.float32)
        self.stored = machine.weights.convert(self.master).copy()

    def move(self, delta: Array) -> Array:
        """Add a float32 Δ; return a bool array that says which weights are as they were."""
        before = self.master
        self.master = before + delta
        self.stored[:] = self._machine.weights.convert(self.master)
        return np.asarray(self.master == before)


class Nearest:
    """``w = round16(w + round16(Δ))``, to nearest, ties to even."""

    def __init__(self, initial: Array) -> None:
        self.stored = round16(initial).copy()

    def move(self, delta: Array) -> Array:
        """Add a float32 Δ; return a bool array that says which weights are as they were."""
        moved = add(self.stored, round16(delta))
        unchanged = np.asarray(moved == self.stored)
        self.stored[:] = moved
        return unchanged


class StochasticallyRounded:
    """``w = SR16(w + Δ)``: the exact sum, rounded stochastically, once [@gupta2015].

    A binary64 sum would not do: with |Δ| small enough it rounds to w, and the second rounding no longer sees Δ.
    The random word of weight i at step t is Philox (seed, t * size + i): it depends on nothing else.
    """

    def __init__(self, initial: Array, seed: int, bits: int = 32) -> None:
        self.stored = round16(initial).copy()
        self._seed, self._bits, self._offset = seed, bits, 0

    def move(self, delta: Array) -> Array:
        """Add a float32 Δ; return a bool array that says which weights are as they were."""
        rounding = Stochastic(bits=self._bits, seed=self._seed, offset=self._offset)
        self._offset += self.stored.size
        # The addend of an exact dot product enters exactly: Δ + w * 1, one rounding.
        exact = Exact(format=BINARY16, rounding=rounding)
        moved = np.asarray(dot(self.stored[:, None], np.ones(1, np.float16), delta, accumulator=exact))
        unchanged = np.asarray(moved == self.stored)
        self.stored[:] = moved
        return unchanged


class Kahan:
    """``y = round16(Δ) + c``, ``t = w + y``, ``c = y - (t - w)``, ``w = t``, each operation rounded to binary16.

    References
    ----------
    W. Kahan, "Further remarks on reducing truncation errors", Comm. ACM 8 (1965), 40 [@kahan1965].
    """

    def __init__(self, initial: Array) -> None:
        self.stored = round16(initial).copy()
        self.compensation = np.zeros_like(self.stored)

    def move(self, delta: Array) -> Array:
        """Add a float32 Δ; return a bool array that says which weights are as they were."""
        change = add(round16(delta), self.compensation)
        moved = add(self.stored, change)
        rest = subtract(change, subtract(moved, self.stored))
        unchanged = np.asarray((moved == self.stored) & (rest == self.compensation))
        self.stored[:] = moved
        self.compensation = rest
        return unchanged


def make_weights(initial: Array, machine: Machine, seed: int) -> Weights:
    """Return the weights that the machine's policy asks for, all starting from `initial` rounded to storage."""
    start = machine.weights.convert(initial)
    match machine.policy.update:
        case WeightUpdate.master:
            return Master(start, machine)
        case WeightUpdate.nearest:
            return Nearest(start)
        case WeightUpdate.stochastic:
            return StochasticallyRounded(start, seed)
        case WeightUpdate.kahan:
            return Kahan(start)


def split(flat: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Return views of a flat vector with the given shapes, in order."""
    views, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        views.append(flat[start:stop].reshape(shape))
        start = stop
    return views
