"""Pairs of significands whose product or quotient lies at a place that matters, found by trying all of them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pairs", "brim_products", "hard_quotients", "near_half_products"]

_ONE, _TWO = 1 << 10, 1 << 11


class Pairs(NamedTuple):
    """Significands as integers of 11 bits, and how many bits their product or quotient has."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    length: NDArray[np.int64]


@lru_cache(maxsize=1)
def _all() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    every = np.arange(_ONE, _TWO, dtype=np.int64)
    return np.repeat(every, _ONE), np.tile(every, _ONE)


def _select(mask: NDArray[np.bool_], length: NDArray[np.int64]) -> Pairs:
    a, b = _all()
    return Pairs(a[mask], b[mask], length[mask])


def _product() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    a, b = _all()
    product = a * b
    return product, 21 + (product >> 21)


@lru_cache(maxsize=32)
def near_half_products(discarded: int) -> Pairs:
    """Return normal significands whose product lies within one unit of a tie when so many bits are discarded.

    `discarded` 0 stands for what rounding to 11 bits discards: 10 or 11 bits.
    """
    product, length = _product()
    bits = length - 11 if discarded == 0 else np.full_like(length, discarded)
    rest = product & ((np.int64(1) << bits) - 1)
    return _select(np.abs(rest - (np.int64(1) << (bits - 1))) <= 1, length)


@lru_cache(maxsize=1)
def brim_products() -> Pairs:
    """Return normal significands whose product, cut to 11 bits, is all ones: just below a power of two, or exact."""
    product, length = _product()
    return _select(product >> (length - 11) == _TWO - 1, length)


def _quotient() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return quotients of 12 bits (a round bit below 11), their remainders, and whether a < b."""
    a, b = _all()
    less = (a < b).astype(np.int64)
    scaled = a << (11 + less)
    return scaled // b, scaled % b, less


@lru_cache(maxsize=1)
def hard_quotients() -> Pairs:
    """Return normal significands whose quotient is very near a tie or a representable number; `length` is a < b."""
    _, remainder, less = _quotient()
    _, b = _all()
    near = (remainder <= 2) | (b - remainder <= 2)
    return _select(near & (remainder > 0), less)
