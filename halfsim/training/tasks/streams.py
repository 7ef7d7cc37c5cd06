"""Batches without end, whose place can be noted and found again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.words import Words

__all__ = ["BatchSize", "Batches", "Examples", "Order"]

BatchSize: TypeAlias = int | Literal["full"]
"""Examples of a batch, or ``"full"`` for all there are."""
_ORDER = 1


class Batches(Protocol):
    """Batches without end.

    Examples
    --------
    >>> from halfsim.training.tasks import Classification
    >>> batches = Classification(dataset="digits").batches(seed=0, size=4)
    >>> start = batches.state()
    >>> labels = batches.next()[1]
    >>> batches.restore(start)
    >>> bool((batches.next()[1] == labels).all())
    True
    """

    def next(self) -> Any:
        """Return the next batch: what the loss of the task takes."""

    def state(self) -> dict[str, int]:
        """Return where the next batch begins, as numbers by name."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken, with the same bits.

        Parameters
        ----------
        state : mapping of str to int
            What `state` returned.
        """


class Order:
    """Which examples are in which batch: every one at most once per epoch, in an order that depends on the seed alone.

    Epoch e is the permutation that words e n to e n + n - 1 of ``Words(seed, 1)`` make of n examples; what does not
    fill a batch at its end is left out.

    Parameters
    ----------
    count : int
        Examples.
    size : int or "full"
        Examples of a batch; "full" for all.
    seed : int
        Of the order.

    Examples
    --------
    >>> order = Order(6, 2, seed=0)
    >>> [order.next().tolist() for _ in range(3)]
    [[5, 3], [2, 4], [1, 0]]
    """

    def __init__(self, count: int, size: BatchSize, seed: int) -> None:
        size = count if size == "full" else size
        if not 0 < size <= count:
            raise ValueError(f"batches: {size=} must be from 1 to the {count} training examples, or 'full' for all")
        self._count, self._size, self._seed = count, size, seed
        self._epoch = self._start = 0
        self._order = self._shuffled()

    def _shuffled(self) -> Array:
        return Words(self._seed, _ORDER, skip=self._epoch * self._count).permutation(self._count)

    def next(self) -> Array:
        """Return the indices of the next batch."""
        if self._start + self._size > self._count:
            self._epoch, self._start = self._epoch + 1, 0
            self._order = self._shuffled()
        chosen = self._order[self._start : self._start + self._size]
        self._start += self._size
        return chosen

    def state(self) -> dict[str, int]:
        """Return epoch and start of the next batch."""
        return {"epoch": self._epoch, "start": self._start}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        epoch, start = int(state["epoch"]), int(state["start"])
        if epoch < 0 or not 0 <= start <= self._count or start % self._size:
            raise ValueError(
                f"batches: state={dict(state)} is none of batches of {self._size} out of {self._count} examples; "
                "restore what the same task and size returned"
            )
        self._epoch, self._start = epoch, start
        self._order = self._shuffled()


class Examples:
    """Pairs of inputs and targets in the order of `Order`.

    Parameters
    ----------
    x, y : array
        Inputs and targets of all examples.
    size : int or "full"
        Examples of a batch.
    seed : int
        Of the order.
    sort : bool
        Whether the examples of every batch are sorted by their label, equal labels as they come: the same batches, but
        sums over the batch add up in another order.
    """

    def __init__(self, x: Array, y: Array, size: BatchSize, seed: int, sort: bool = False) -> None:
        self._x, self._y, self._sort = x, y, sort
        self._order = Order(len(x), size, seed)

    def next(self) -> tuple[Array, Array]:
        """Return the next inputs and targets."""
        chosen = self._order.next()
        if self._sort:
            chosen = chosen[np.argsort(self._y[chosen], kind="stable")]
        return self._x[chosen], self._y[chosen]

    def state(self) -> dict[str, int]:
        """Return where the next batch begins."""
        return self._order.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._order.restore(state)
