"""What an optimizer keeps between two steps: vectors and numbers that can be taken out and put back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from halfsim.formats import BINARY32
from halfsim.training.arithmetic import Arithmetic, Array, arithmetic
from halfsim.training.binary32 import widen

__all__ = ["OptimizerState"]


class OptimizerState(ABC):
    """An optimizer at work on one vector of parameters.

    Parameters
    ----------
    start : callable
        Makes the first state of the same optimizer, from a size and an arithmetic.
    size : int
        Number of parameters.
    arithmetic : Arithmetic
        Of every operation; its dtype is that of the state.
    *names : str
        Names of the vectors of state, which start as zeros.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.formats import BINARY16
    >>> from halfsim.training.arithmetic import arithmetic
    >>> from halfsim.training.optim import OptimizerState
    >>> class Signs(OptimizerState):
    ...     def change(self, g):
    ...         return self.arithmetic.multiply(self.constant(-0.1), np.sign(g))
    >>> def start(size, arithmetic):
    ...     return Signs(start, size, arithmetic)
    >>> start(2, arithmetic(BINARY16)).step(np.float32([3, -2])).tolist()
    [-0.0999755859375, 0.0999755859375]
    """

    def __init__(
        self, start: Callable[[int, Arithmetic], OptimizerState], size: int, arithmetic: Arithmetic, *names: str
    ) -> None:
        self._start, self._size = start, size
        self.arithmetic = arithmetic
        self.vectors = {name: np.zeros(size, arithmetic.dtype) for name in names}
        self.scalars: dict[str, float] = {}

    def step(self, gradient: Array) -> Array:
        """Return Δ, float32, for a gradient of all parameters, which is rounded to the format of the state first.

        Parameters
        ----------
        gradient : array
            float16 or float32, (size,), without the loss scale.

        Returns
        -------
        array of float32
            The change Δ of every parameter, (size,); the vectors of state have moved.
        """
        return widen(self.change(self.arithmetic.convert(gradient)))

    def as_binary32(self, gradient: Array) -> Array:
        """Return what `step` would, were every operation and constant of this one step binary32; nothing moves.

        Parameters
        ----------
        gradient : array
            As of `step`.
        """
        wide = arithmetic(BINARY32)
        twin = self._start(self._size, wide)
        twin.vectors = {name: wide.convert(vector) for name, vector in self.vectors.items()}
        twin.scalars = dict(self.scalars)
        return twin.step(gradient)

    @abstractmethod
    def change(self, g: Array) -> Array:
        """Return Δ for a gradient in the format of the state.

        Parameters
        ----------
        g : array
            (size,), of the dtype of the arithmetic.

        Returns
        -------
        array
            Δ, (size,), of the same dtype; every operation rounded once.
        """

    def constant(self, value: float) -> Array:
        """Return a number computed in binary64, rounded to the format of the state, to nearest, ties to even.

        Parameters
        ----------
        value : float
            Such as a learning rate; it may become zero or infinite.

        Returns
        -------
        array
            Without axes, of the dtype of the arithmetic.
        """
        return self.arithmetic.number(value)

    def state(self) -> dict[str, Array | float]:
        """Return copies of everything that the next step depends on, by name."""
        return {**{name: vector.copy() for name, vector in self.vectors.items()}, **self.scalars}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` returned.

        Parameters
        ----------
        state : mapping of str to array or float
            What `state` of the same optimizer returned.

        Raises
        ------
        ValueError
            For other names than this optimizer has, or vectors of another length or dtype.
        """
        if set(state) != {*self.vectors, *self.scalars}:
            raise ValueError(
                f"restore: the state has {', '.join(sorted(state)) or 'nothing'}, but a {type(self).__name__} keeps "
                f"{', '.join((*self.vectors, *self.scalars)) or 'nothing'}; pass a state of the same optimizer"
            )
        vectors = {name: np.array(state[name]) for name in self.vectors}
        for name, vector in self.vectors.items():
            found = vectors[name]
            if (found.shape, found.dtype) != (vector.shape, vector.dtype):
                raise ValueError(
                    f"restore: {name} has shape {found.shape} and dtype {found.dtype}, not {vector.shape} and "
                    f"{vector.dtype}; pass a state of the same network and policy"
                )
        self.vectors = vectors
        self.scalars = {name: float(state[name]) for name in self.scalars}
