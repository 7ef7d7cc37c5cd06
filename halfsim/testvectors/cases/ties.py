"""Families about halves: ties, what lies just beside them, and what decides them from far below."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.cases.family import Family, Listed, Source, Words, unsigned
from halfsim.testvectors.cases.numbers import both_signs, is_float
from halfsim.testvectors.cases.significands import hard_quotients, near_half_products
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.subjects import Subject

__all__ = ["FAMILIES", "normal", "signs"]

_LEVEL_1 = 4000


def normal(significand: NDArray[np.int64], exponent: NDArray[np.int64] | int) -> Words:
    """Return binary16 patterns of significands of 11 bits and biased exponents."""
    return ((np.asarray(exponent) << 10) + (significand - 1024)).astype(np.uint16)


def signs(columns: tuple[Words, ...], level: int) -> Listed:
    """Return rows with every choice of signs; at level 1 each row with one choice, in turn."""
    choices = 1 << len(columns)
    rows = len(columns[0])
    if level == 1:
        choice = np.arange(rows) % choices
        kept = columns
    else:
        choice = np.repeat(np.arange(choices), rows)
        kept = tuple(np.tile(column, choices) for column in columns)
    return Listed([column ^ ((choice >> i & 1) << 15).astype(np.uint16) for i, column in enumerate(kept)])


def thinned(columns: tuple[Words, ...], level: int, most: int = _LEVEL_1) -> tuple[Words, ...]:
    """Return all rows, or at level 1 about `most` of them, evenly."""
    step = 1 if level > 1 else max(1, len(columns[0]) // most)
    return tuple(column[::step] for column in columns)


@lru_cache(maxsize=4)
def _sums() -> tuple[Words, Words]:
    """Return numbers whose sum discards exactly half a unit, or one unit of the smaller more or less."""
    a, b = [], []
    for distance in range(1, 14):
        half = 1 << (distance - 1)
        lows = [low for low in (half - 1, half, half + 1) if distance <= 11]
        seconds = {
            1024 + (base & ~((1 << min(distance, 10)) - 1)) + low for base in (0, 341, 682, 1023) for low in lows
        }
        seconds = {value for value in seconds if value < 2048} or {1024, 1025, 2047}
        for exponent in (distance + 1, 15, 16, 30):
            if exponent <= distance:
                continue
            for first in (1024, 1025, 1535, 1536, 2046, 2047):
                for second in sorted(seconds):
                    a.append((exponent << 10) + first - 1024)
                    b.append((exponent - distance << 10) + second - 1024)
    return np.array(a, np.uint16), np.array(b, np.uint16)


@lru_cache(maxsize=4)
def _products() -> tuple[Words, Words]:
    """Return factors with a tie of the product, or a unit beside one, for normal and for subnormal results."""
    a, b = [], []
    pairs = near_half_products(0)
    for total in (18, 30, 42):
        a.append(normal(pairs.a, total // 2))
        b.append(normal(pairs.b, total - total // 2))
    # A subnormal result counts in units of 2**-24: exponents that add up to 26 - d discard d bits.
    for discarded in range(12, 23):
        pairs = near_half_products(discarded)
        total = 26 - discarded
        a.append(normal(pairs.a, total // 2))
        b.append(normal(pairs.b, total - total // 2))
    return np.concatenate(a), np.concatenate(b)


def _quotients() -> tuple[Words, Words]:
    """Return operands of quotients near ties, and divisors that make exact ties of subnormal results: powers of two."""
    pairs = hard_quotients()
    a, b = [], []
    for first, second in ((15, 15), (4, 17), (28, 14), (30, 30)):
        a.append(normal(pairs.a, first))
        b.append(normal(pairs.b, second))
    every = np.arange(1024, 2048)
    # 2**-10 divided by 2**(4 + shift): the result is subnormal and loses so many bits.
    for shift in range(1, 12):
        a.append(normal(every, 5))
        b.append(normal(np.full_like(every, 1024), 19 + shift))
    return np.concatenate(a), np.concatenate(b)


def _remainders() -> tuple[Words, Words]:
    """Return dividends that are odd multiples of half the divisor, and their neighbours."""
    k = np.repeat(np.arange(1, 300), 8)
    odd = np.tile(np.arange(1, 17, 2), 299)
    fits = k * odd < 2048
    a, b = (k * odd)[fits].astype(np.float16), (2 * k)[fits].astype(np.float16)
    steps = np.repeat(np.arange(-1, 2), len(a))
    a16, b16 = np.tile(a.view(np.uint16), 3), np.tile(b.view(np.uint16), 3)
    near = (a16.astype(np.int64) + steps).astype(np.uint16)
    scale = np.float16(2.0**-14)
    return (
        np.concatenate([near, (near.view(np.float16) * scale).view(np.uint16)]),
        np.concatenate([b16, (b16.view(np.float16) * scale).view(np.uint16)]),
    )


def _fused() -> tuple[Words, Words, Words]:
    """Return sums of exact products that tie, and products that tie with addends that decide them from far below."""
    a, c = _sums()
    columns: list[tuple[Words, Words, Words]] = []
    for exponent in (13, 15, 17):
        fits = (a >> 10 > 3) & (a >> 10 < 28)
        moved = (a[fits].astype(np.int64) + (15 - exponent << 10)).astype(np.uint16)
        columns.append((moved, np.full(len(moved), exponent << 10, np.uint16), c[fits]))
    first, second = (column[::8] for column in _products())
    # Tiny addends of both signs: the smallest, and some nearer the last bit of the product.
    for addend in (0x0001, 0x8001, 0x0400, 0x8400, 0x0000, 0x8000):
        columns.append((first, second, np.full(len(first), addend, np.uint16)))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))  # type: ignore[return-value]


_MAKERS: dict[str, Callable[[], tuple[Words, ...]]] = {
    "add": _sums,
    "subtract": _sums,
    "multiply": _products,
    "divide": _quotients,
    "remainder": _remainders,
    "fma": _fused,
}


def _halfway(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    make = _MAKERS.get(subject.name)
    return None if make is None else signs(thinned(make(), level), level)


def _midpoints(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    """Numbers of binary16 and the midpoints between them, in a wider type, and the values of that type beside them."""
    kind = subject.operands[0]
    if subject.operation != "convert" or subject.result != "f16" or TYPES[kind] < 32:
        return None
    edges = np.arange(0, 0x7C00, 1 if level > 1 else 23, dtype=np.uint16)
    edges = np.union1d(edges, np.array([0, 1, 2, 0x3FF, 0x400, 0x7BFE, 0x7BFF], np.uint16))
    low = edges.view(np.float16).astype(np.float64)
    high = np.where(edges == 0x7BFF, 65536.0, (edges + np.uint16(1)).view(np.float16).astype(np.float64))
    places = np.unique(np.concatenate([low, (low + high) / 2]))
    if is_float(kind):
        native = {"f32": np.float32, "f64": np.float64}[kind]
        middle = places.astype(native).view(unsigned(kind))
        around = (middle[:, None].astype(np.int64) + np.array([-1, 0, 1])).ravel()
        words = np.unique(around[around >= 0]).astype(unsigned(kind))
        return Listed([both_signs(kind, words)])
    whole = np.unique(places[places == np.floor(places)])
    around = (whole[:, None].astype(np.int64) + np.array([-1, 0, 1])).ravel()
    values = np.concatenate([around, -around]) if kind.startswith("i") else around[around >= 0]
    return Listed([np.unique(values.astype(np.int64).astype(unsigned(kind)))])


FAMILIES = (
    Family(
        "halfway", "ties of sums, products and quotients, and beside ties; fma: addends that decide a tie", _halfway
    ),
    Family("midpoints", "midpoints of binary16 and its numbers in a wider type, and their neighbours", _midpoints),
)
