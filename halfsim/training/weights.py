"""The weights of a run and the ways to move them; all parameters lie in one flat vector."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from halfsim.conversion import convert
from halfsim.environment import IEEE, Environment
from halfsim.formats import BINARY16
from halfsim.kernels import binary32
from halfsim.kernels.updates import truncated_sums
from halfsim.operations import add, multiply
from halfsim.policy import Policy, WeightUpdate
from halfsim.rounding import Rounding, Stochastic, as_rounding
from halfsim.training.arithmetic import Arithmetic, Array, round16
from halfsim.training.machine import Machine
from halfsim.training.words import Words

__all__ = ["Kahan", "Master", "Rounded", "Weights", "make_weights", "narrow", "split"]


class Weights(ABC):
    """Weights that can move.

    Attributes
    ----------
    stored : float16 or float32 array
        What takes part in products; it is changed in place.
    """

    stored: Array

    @abstractmethod
    def move(self, delta: Array) -> Array:
        """Add a float32 Δ; return a bool array that says which weights are as they were."""

    @property
    def full(self) -> Array:
        """The weights as precisely as they are kept: a master copy, or what is stored."""
        return self.stored

    @abstractmethod
    def _parts(self) -> dict[str, Array]:
        """Return the arrays that the next move depends on, by name."""

    def state(self) -> dict[str, Array]:
        """Return copies of all arrays that the next move depends on, by name."""
        return {name: part.copy() for name, part in self._parts().items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over, in place, what `state` returned.

        Raises
        ------
        ValueError
            For other names, shapes or dtypes than these weights have.
        """
        parts = self._parts()
        found = {name: np.asarray(part) for name, part in state.items()}
        for name in {**parts, **found}:
            mine, theirs = (_kind(arrays[name]) if name in arrays else "nothing" for arrays in (parts, found))
            if mine != theirs:
                raise ValueError(
                    f"restore: {name!r} is {theirs} in the state and {mine} in {type(self).__name__}; "
                    "pass a state of the same network and policy"
                )
        for name, part in parts.items():
            part[...] = found[name]


def _kind(array: Array) -> str:
    return f"{array.dtype} of shape {array.shape}"


class Master(Weights):
    """``m = round32(m + Δ)``; the stored weight is m in the stored format, as the policy rounds and flushes.

    Parameters
    ----------
    initial : array
        First weights.
    arithmetic : Arithmetic
        Of the stored weights.
    """

    def __init__(self, initial: Array, arithmetic: Arithmetic) -> None:
        self._arithmetic = arithmetic
        self.master = initial.astype(np.float32)
        # Binary32 weights are their own master copy.
        is_master = arithmetic.dtype == np.float32
        self.stored = self.master if is_master else arithmetic.convert(self.master).copy()

    def move(self, delta: Array) -> Array:
        """Add a float32 Δ; return a bool array that says which weights are as they were."""
        moved = binary32.add(self.master, delta)
        unchanged = np.asarray(moved == self.master)
        self.master[...] = moved
        self.stored[...] = self._arithmetic.convert(self.master)
        return unchanged

    @property
    def full(self) -> Array:
        """The master copy."""
        return self.master

    def _parts(self) -> dict[str, Array]:
        stored = {"stored": self.stored}
        return stored if self.stored is self.master else {"master": self.master, **stored}


class Rounded(Weights):
    """The stored binary16 weight moves, and what rounding takes off is lost.

    A deterministic rounding r rounds twice, ``w = r(w + r(Δ))``. A stochastic one rounds the exact sum w + Δ once
    [@gupta2015]. The random word of weight i at move t is Philox (seed, offset + t * size + i): it depends on nothing
    else.

    Parameters
    ----------
    initial : array
        First weights, rounded to nearest if they are not binary16.
    rounding : Rounding or Stochastic
        The rounding.
    environment : Environment
        Whether binary16 subnormals are flushed.
    """

    def __init__(self, initial: Array, rounding: Rounding | Stochastic, environment: Environment = IEEE) -> None:
        self.stored = round16(initial).copy()
        self._rounding, self._environment = rounding, environment
        self._drawn = np.zeros((), np.int64)

    def move(self, delta: Array) -> Array:
        """Add a float32 Δ; return a bool array that says which weights are as they were."""
        if isinstance(self._rounding, Stochastic):
            moved = self._once(delta, self._rounding)
        else:
            how: dict[str, Any] = {"rounding": self._rounding, "environment": self._environment}
            moved = np.asarray(add(self.stored, convert(delta, BINARY16, **how), **how))
        unchanged = np.asarray(moved == self.stored)
        self.stored[...] = moved
        return unchanged

    def _once(self, delta: Array, rounding: Stochastic) -> Array:
        fresh = replace(rounding, offset=rounding.offset + int(self._drawn))
        self._drawn += self.stored.size
        moved = convert(_truncated_sum(self.stored, delta), BINARY16, rounding=fresh)
        # Times one: exact, but for subnormals that are flushed.
        return np.asarray(multiply(moved, np.float16(1), environment=self._environment))

    def _parts(self) -> dict[str, Array]:
        drawn = {"drawn": self._drawn} if isinstance(self._rounding, Stochastic) else {}
        return {"stored": self.stored, **drawn}


def _truncated_sum(w: Array, delta: Array) -> Array:
    """Return w + Δ cut toward zero to binary64's 53 bits.

    Stochastic rounding looks at the 11 bits that stay and at most 32 below them; these are the bits of the exact sum.
    """
    z = np.empty(w.shape, np.float64)
    truncated_sums(w.astype(np.float64), delta.astype(np.float64), z)
    return z


class Kahan(Weights):
    """``y = round16(Δ) + c``, ``t = w + y``, ``c = y - (t - w)``, ``w = t``, each operation rounded to binary16.

    Parameters
    ----------
    initial : array
        First weights.
    arithmetic : Arithmetic
        That of binary16, as the policy rounds and flushes.

    References
    ----------
    W. Kahan, "Further remarks on reducing truncation errors", Comm. ACM 8 (1965), 40 [@kahan1965].
    """

    def __init__(self, initial: Array, arithmetic: Arithmetic) -> None:
        self._arithmetic = arithmetic
        self.stored = arithmetic.convert(initial).copy()
        self.compensation = np.zeros_like(self.stored)

    def move(self, delta: Array) -> Array:
        """Add a float32 Δ; return a bool array that says which weights are as they were."""
        a = self._arithmetic
        change = a.add(a.convert(delta), self.compensation)
        moved = a.add(self.stored, change)
        rest = a.subtract(change, a.subtract(moved, self.stored))
        unchanged = np.asarray((moved == self.stored) & (rest == self.compensation))
        self.stored[...] = moved
        self.compensation[...] = rest
        return unchanged

    def _parts(self) -> dict[str, Array]:
        return {"stored": self.stored, "compensation": self.compensation}


def narrow(delta: Array, policy: Policy) -> Array:
    """Return Δ as the format of the weights holds it.

    Parameters
    ----------
    delta : float32 array
        Changes of weights.
    policy : Policy
        Binary16 weights take Δ as their update rounds it, a master copy's as the policy rounds what it stores, and
        flush where the policy does; to nearest, ties to even, where those round stochastically. Binary32 ones take it
        as it is.
    """
    if policy.weights != BINARY16:
        return delta
    moved = policy.update if isinstance(policy.update, Rounding) else Rounding.roundTiesToEven
    if policy.update in (WeightUpdate.master, WeightUpdate.kahan):
        stored = as_rounding(policy.rounding)
        moved = moved if isinstance(stored, Stochastic) else stored
    return np.asarray(convert(delta, BINARY16, rounding=moved, environment=policy.environment))


def make_weights(initial: Array, machine: Machine, seed: int, stream: int = 0) -> Weights:
    """Return the weights that the machine's policy asks for, all starting from `initial` as the policy stores it.

    Parameters
    ----------
    initial : array
        First weights, flat.
    machine : Machine
        Whose policy decides, and whose `weights` is the arithmetic of stored weights.
    seed : int
        Seed of the run, the key of ``"stochastic"``. That of a `Stochastic` update is mixed with it.
    stream : int
        Weights of one run that differ in it draw independent words.
    """
    policy, start = machine.policy, machine.weights.convert(initial)
    match policy.update:
        case WeightUpdate.master:
            return Master(start, machine.weights)
        case WeightUpdate.kahan:
            return Kahan(start, machine.weights)
        case WeightUpdate.stochastic:
            key = _key(0, seed, stream) if stream else seed
            return Rounded(start, Stochastic(bits=32, seed=key), policy.environment)
        case Stochastic() as rounding:
            mixed = replace(rounding, seed=_key(rounding.seed, seed, stream))
            return Rounded(start, mixed, policy.environment)
        case Rounding() as rounding:
            return Rounded(start, rounding, policy.environment)
        case _:
            return Rounded(start, Rounding.roundTiesToEven, policy.environment)


def _key(rounding: int, seed: int, stream: int) -> int:
    """Return word 64 + stream of Philox under both seeds: machines take the first words for their own roundings."""
    return int(Words(rounding, seed).raw(65 + stream)[-1])


def split(flat: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Return views of a flat vector with the given shapes, in order."""
    views, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        views.append(flat[start:stop].reshape(shape))
        start = stop
    return views
