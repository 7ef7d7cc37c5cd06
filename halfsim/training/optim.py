"""Optimizers: from a gradient to the change Δ of every weight, in binary32 throughout.

Every operation is one elementwise float32 operation of NumPy, which IEEE 754 determines; state is binary32.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from halfsim.training.arithmetic import Array

__all__ = ["SGD", "Adam", "Optimizer"]

_F32 = np.float32


class Optimizer(Protocol):
    """What the loop needs of an optimizer."""

    def step(self, gradient: Array) -> Array:
        """Return Δ for a float32 gradient of all parameters."""


class SGD:
    """Stochastic gradient descent with momentum: ``v = momentum v + g``, ``Δ = -rate v``.

    Parameters
    ----------
    rate : float
        Learning rate.
    momentum : float
        0 for none.
    """

    def __init__(self, rate: float, momentum: float = 0.0) -> None:
        self.rate = _F32(rate)
        self.momentum = _F32(momentum)
        self._velocity: Array | None = None

    def step(self, gradient: Array) -> Array:
        """Return Δ for a float32 gradient of all parameters."""
        if self.momentum:
            if self._velocity is None:
                self._velocity = np.zeros_like(gradient)
            self._velocity = self.momentum * self._velocity + gradient
            gradient = self._velocity
        return -self.rate * gradient


class Adam:
    """Adam [@kingma2015], algorithm 1.

    ``m = β1 m + (1 - β1) g``, ``v = β2 v + (1 - β2) g²``, ``Δ = -rate (m / (1 - β1ᵗ)) / (sqrt(v / (1 - β2ᵗ)) + ε)``;
    the scalars are computed in binary64 and rounded to binary32.

    Parameters
    ----------
    rate : float
        Learning rate.
    betas : (float, float)
        Decay rates of the two moments.
    epsilon : float
        Added to the denominator.
    """

    def __init__(self, rate: float, betas: tuple[float, float] = (0.9, 0.999), epsilon: float = 1e-8) -> None:
        self.rate = rate
        self.betas = betas
        self.epsilon = _F32(epsilon)
        self._powers = [1.0, 1.0]
        self._moments: tuple[Array, Array] | None = None

    def step(self, gradient: Array) -> Array:
        """Return Δ for a float32 gradient of all parameters."""
        if self._moments is None:
            self._moments = np.zeros_like(gradient), np.zeros_like(gradient)
        m, v = self._moments
        (beta1, beta2), powers = self.betas, self._powers
        # Products, not pow(): libraries differ in its last bit.
        powers[0] *= beta1
        powers[1] *= beta2
        m *= _F32(beta1)
        m += _F32(1 - beta1) * gradient
        v *= _F32(beta2)
        square = gradient * gradient
        square *= _F32(1 - beta2)
        v += square
        denominator = v / _F32(1 - powers[1])
        np.sqrt(denominator, out=denominator)
        denominator += self.epsilon
        delta = m * _F32(-self.rate / (1 - powers[0]))
        delta /= denominator
        return delta
