"""Optimizers: from a gradient to the change Δ of every weight, in the arithmetic that the policy gives its state.

A frozen row says which optimizer; `start` makes its state for a vector of parameters. Every operation of a step is one
elementwise operation of the arithmetic, rounded once. Constants are computed in binary64 and rounded to the format of
the state once, to nearest: in binary16 an epsilon of 1e-8 is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from halfsim.checks import plain
from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.optimizer_state import OptimizerState as OptimizerState

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "Optimizer", "OptimizerState"]


def _check(row: object, name: str, low: float, high: float, text: str) -> None:
    """Replace the field by a float, and refuse what is not in [low, high)."""
    value: Any = plain(getattr(row, name))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value < high:
        raise ValueError(f"{type(row).__name__}: {name}={value!r} must be {text}")
    object.__setattr__(row, name, float(value))


_TINY = 2.0**-1074  # of binary64: what is at least this is positive


@dataclass(frozen=True, slots=True)
class SGD:
    """Stochastic gradient descent with momentum: ``v = momentum v + g``, ``Δ = -rate v``.

    Parameters
    ----------
    rate : float
        Learning rate.
    momentum : float
        0 for none, which keeps no state.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.formats import BINARY32
    >>> from halfsim.training.arithmetic import arithmetic
    >>> from halfsim.training.optim import SGD
    >>> state = SGD(0.5, momentum=0.5).start(2, arithmetic(BINARY32))
    >>> [state.step(np.float32([1, -2])).tolist() for _ in range(2)]
    [[-0.5, 1.0], [-0.75, 1.5]]
    """

    rate: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        _check(self, "rate", _TINY, np.inf, "a positive finite number")
        _check(self, "momentum", 0, 1, "a number from 0 to below 1")

    def start(self, size: int, arithmetic: Arithmetic) -> OptimizerState:
        """Return the state a run starts with.

        Parameters
        ----------
        size : int
            Number of parameters.
        arithmetic : Arithmetic
            Of every operation, as ``Machine.optimizer`` is.
        """
        return _SGDState(self, size, arithmetic)


class _SGDState(OptimizerState):
    def __init__(self, row: SGD, size: int, arithmetic: Arithmetic) -> None:
        super().__init__(row.start, size, arithmetic, *(("velocity",) if row.momentum else ()))
        self._rate, self._momentum = self.constant(-row.rate), self.constant(row.momentum)

    def change(self, g: Array) -> Array:
        a = self.arithmetic
        if self.vectors:
            g = a.add(a.multiply(self._momentum, self.vectors["velocity"]), g)
            self.vectors["velocity"] = g
        return np.asarray(a.multiply(self._rate, g))


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam [@kingma2015], algorithm 1.

    ``m = β1 m + (1 - β1) g``, ``v = β2 v + (1 - β2) g²``, ``Δ = -rate (m / (1 - β1ᵗ)) / (sqrt(v / (1 - β2ᵗ)) + ε)``.
    In binary16 the default ε is zero, and v stays zero for ``|g|`` below about 5e-3: Δ is then infinite, or NaN where m
    is zero as well.

    Parameters
    ----------
    rate : float
        Learning rate.
    betas : (float, float)
        Decay rates of the two moments.
    epsilon : float
        Added to the denominator.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.formats import BINARY16, BINARY32
    >>> from halfsim.training.arithmetic import arithmetic
    >>> from halfsim.training.optim import Adam
    >>> Adam(0.25).start(2, arithmetic(BINARY32)).step(np.float32([3, 0])).tolist()
    [-0.25, -0.0]
    >>> Adam(0.25).start(2, arithmetic(BINARY16)).step(np.float32([3, 0])).tolist()
    [-0.2498779296875, nan]
    """

    rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check(self, "rate", _TINY, np.inf, "a positive finite number")
        _check(self, "epsilon", 0, np.inf, "a finite number, not negative")
        betas: Any = self.betas
        if isinstance(betas, tuple | list | np.ndarray):
            betas = [plain(beta) for beta in betas]
        if not isinstance(betas, list) or len(betas) != 2 or not all(_decays(beta) for beta in betas):
            raise ValueError(f"Adam: betas={self.betas!r} must be two numbers from 0 to below 1, as (0.9, 0.999) is")
        object.__setattr__(self, "betas", tuple(float(beta) for beta in betas))

    def start(self, size: int, arithmetic: Arithmetic) -> OptimizerState:
        """Return the state a run starts with.

        Parameters
        ----------
        size : int
            Number of parameters.
        arithmetic : Arithmetic
            Of every operation, as ``Machine.optimizer`` is.
        """
        return _AdamState(self, size, arithmetic)


def _decays(beta: object) -> bool:
    return isinstance(beta, int | float) and not isinstance(beta, bool) and 0 <= beta < 1


class _AdamState(OptimizerState):
    def __init__(self, row: Adam, size: int, arithmetic: Arithmetic) -> None:
        super().__init__(row.start, size, arithmetic, "m", "v")
        self._row = row
        self._betas = [self.constant(beta) for beta in row.betas]
        self._rest = [self.constant(1 - beta) for beta in row.betas]
        self._epsilon = self.constant(row.epsilon)
        self.scalars = {"power1": 1.0, "power2": 1.0}

    def change(self, g: Array) -> Array:
        a = self.arithmetic
        # Products, not pow(): libraries differ in its last bit.
        power1, power2 = (self.scalars[f"power{i}"] * beta for i, beta in enumerate(self._row.betas, start=1))
        m = a.add(a.multiply(self._betas[0], self.vectors["m"]), a.multiply(self._rest[0], g))
        v = a.add(a.multiply(self._betas[1], self.vectors["v"]), a.multiply(self._rest[1], a.multiply(g, g)))
        self.vectors, self.scalars = {"m": m, "v": v}, {"power1": power1, "power2": power2}
        denominator = a.add(a.sqrt(a.divide(v, self.constant(1 - power2))), self._epsilon)
        return np.asarray(a.divide(a.multiply(m, self.constant(-self._row.rate / (1 - power1))), denominator))


@dataclass(frozen=True, slots=True)
class Adagrad:
    """Adagrad [@duchi2011]: ``s = s + g²``, ``Δ = -rate g / (sqrt(s) + ε)``.

    Parameters
    ----------
    rate : float
        Learning rate.
    epsilon : float
        Added to the denominator.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.formats import BINARY32
    >>> from halfsim.training.arithmetic import arithmetic
    >>> from halfsim.training.optim import Adagrad
    >>> state = Adagrad(0.5).start(1, arithmetic(BINARY32))
    >>> [state.step(np.float32([g])).tolist() for g in (3, 4)]
    [[-0.5], [-0.4000000059604645]]
    """

    rate: float
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        _check(self, "rate", _TINY, np.inf, "a positive finite number")
        _check(self, "epsilon", 0, np.inf, "a finite number, not negative")

    def start(self, size: int, arithmetic: Arithmetic) -> OptimizerState:
        """Return the state a run starts with.

        Parameters
        ----------
        size : int
            Number of parameters.
        arithmetic : Arithmetic
            Of every operation, as ``Machine.optimizer`` is.
        """
        return _AdagradState(self, size, arithmetic)


class _AdagradState(OptimizerState):
    def __init__(self, row: Adagrad, size: int, arithmetic: Arithmetic) -> None:
        super().__init__(row.start, size, arithmetic, "squares")
        self._rate, self._epsilon = self.constant(-row.rate), self.constant(row.epsilon)

    def change(self, g: Array) -> Array:
        a = self.arithmetic
        squares = a.add(self.vectors["squares"], a.multiply(g, g))
        self.vectors["squares"] = squares
        return np.asarray(a.divide(a.multiply(self._rate, g), a.add(a.sqrt(squares), self._epsilon)))


Optimizer: TypeAlias = SGD | Adam | Adagrad
"""Any of the optimizers."""

OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam, "adagrad": Adagrad}
"""The optimizers by the names that configurations use."""
