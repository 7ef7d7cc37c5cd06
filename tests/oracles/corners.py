"""Structured operands: exponent corners times significand patterns, NaN grids, midpoints, random bit patterns."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.formats import BINARY16, Format, Specials

__all__ = ["NANS", "float_neighbours", "near_one", "pairs", "patterns", "random_patterns", "triples", "wide_corners"]

# Quiet and signaling, both signs: smallest and largest payload, a middle one, the quiet bit alone.
NANS = np.array(
    [0x7C01, 0x7D55, 0x7DFF, 0x7E00, 0x7E01, 0x7F55, 0x7FFF, 0xFC01, 0xFDAA, 0xFDFF, 0xFE00, 0xFE01, 0xFFFF],
    dtype=np.uint16,
)


def patterns(fmt: Format = BINARY16, level: int = 1) -> NDArray[np.uint64]:
    """Corner patterns of a format, ascending: zeros, subnormals, normals, infinities, NaNs.

    `level` 0 is a short list (about 50 for binary16), 1 a longer one (about 250).
    """
    fraction_bits = fmt.precision - 1
    top = (1 << (fmt.width - fmt.precision)) - 1
    one = fmt.bias
    ones = (1 << fraction_bits) - 1
    if level == 0:
        exponents = {0, 1, one - fmt.precision, one - 1, one, one + fmt.precision - 1, top - 1, top}
        fractions = {0, 1, 1 << (fraction_bits - 1), ones}
    else:
        exponents = {0, 1, 2, fmt.precision, one - fmt.precision - 1, one - fmt.precision, one - fmt.precision + 1}
        exponents |= {one - 2, one - 1, one, one + 1, one + fmt.precision - 2, one + fmt.precision - 1, top - 2}
        exponents |= {top - 1, top}
        fractions = {0, 1, 2, 1 << (fraction_bits - 1), (1 << (fraction_bits - 1)) - 1, ones - 1, ones}
        fractions |= {ones // 3, (1 << (fraction_bits - 1)) + 1}
    rows = [
        (sign << (fmt.width - 1)) | (exponent << fraction_bits) | fraction
        for sign, exponent, fraction in itertools.product((0, 1), exponents, fractions)
        if 0 <= exponent <= top and 0 <= fraction <= ones
    ]
    return np.unique(np.array(rows, dtype=np.uint64))


def random_patterns(count: int, columns: int, seed: int, width: int = 16) -> list[NDArray[np.uint64]]:
    """Uniformly random bit patterns, `columns` of them."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 2**width, count, dtype=np.uint64) for _ in range(columns)]


def _close(count: int, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Pairs with exponents near each other, opposite signs as often as not: cancellation and alignment."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2**16, count)
    exponent = np.clip(((a >> 10) & 31) + rng.integers(-13, 14, count), 0, 30)
    b = (rng.integers(0, 2, count) << 15) | (exponent << 10) | rng.integers(0, 1024, count)
    return a.astype(np.uint64), b.astype(np.uint64)


def pairs(count: int = 20_000, seed: int = 1, level: int = 0) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """All pairs of corner patterns and NaNs, `count` random and `count` close pairs."""
    corner = np.union1d(patterns(level=level), NANS.astype(np.uint64))
    a, b = (g.ravel() for g in np.meshgrid(corner, corner))
    ra, rb = random_patterns(count, 2, seed)
    ca, cb = _close(count, seed + 1)
    return np.concatenate([a, ra, ca]), np.concatenate([b, rb, cb])


def triples(count: int = 20_000, seed: int = 2) -> tuple[NDArray[np.uint64], ...]:
    """Corner triples, random ones, and addends that nearly cancel the product or lie about a rounding boundary off."""
    rng = np.random.default_rng(seed)
    corner = patterns(level=0)
    corner = corner[(corner & 0x7FFF) <= 0x7C01]
    grid = [rng.choice(corner, count) for _ in range(3)]
    nans = np.concatenate([NANS, [0, 0x8000, 0x7C00, 0xFC00, 0x3C00, 0x0001]]).astype(np.uint64)
    special = [g.ravel() for g in np.meshgrid(nans, nans, nans)]
    free = random_patterns(count, 3, seed + 1)
    a, b = random_patterns(count, 2, seed + 2)
    with np.errstate(all="ignore"):
        product = _value(a) * _value(b)
        c = (-product).astype(np.float16).view(np.uint16).astype(np.int64)
    c = (c + rng.integers(-2, 3, count) + (rng.integers(-12, 13, count) << 10)) & 0xFFFF
    near = [a, b, c.astype(np.uint64)]
    return tuple(np.concatenate(columns) for columns in zip(grid, special, free, near, strict=True))


def _value(bits: NDArray[Any]) -> NDArray[np.float64]:
    return bits.astype(np.uint16).view(np.float16).astype(np.float64)


def near_one(fmt: Format, count: int, seed: int) -> list[int]:
    """Corner patterns of a format, and random ones of exponents that meet those of other formats."""
    rng = np.random.default_rng(seed)
    corner = rng.choice(patterns(fmt), count)
    low, high = max(0, fmt.bias - 20), min(fmt.bias + 20, 2 ** (fmt.width - fmt.precision))
    exponent = rng.integers(low, high, count).astype(np.uint64)
    fraction = rng.integers(0, 1 << (fmt.precision - 1), count).astype(np.uint64)
    sign = rng.integers(0, 2, count).astype(np.uint64) << np.uint64(fmt.width - 1)
    middle = sign | (exponent << np.uint64(fmt.precision - 1)) | fraction
    return [int(x) for x in np.where(rng.random(count) < 0.5, corner, middle)]


def float_neighbours(dtype: type[np.floating[Any]], seed: int = 3, count: int = 4000) -> NDArray[Any]:
    """Values of a wider binary format around binary16's: numbers, midpoints and their neighbours, corners, random.

    Every binary16 exponent is covered; both signs; NaNs signaling and quiet with high and low payloads.
    """
    rng = np.random.default_rng(seed)
    word = {np.float32: np.uint32, np.float64: np.uint64}[dtype]
    chosen = np.unique(np.concatenate([patterns(level=1) & 0x7FFF, rng.integers(0, 0x7C00, count).astype(np.uint64)]))
    chosen = chosen[chosen < 0x7C00]
    value = _value(chosen)
    step = _value(np.minimum(chosen + 1, 0x7BFF)) - value
    step[chosen == 0x7BFF] = 32.0
    base = np.concatenate([value, value + step / 2, value + step / 4, [65520.0, 65536.0, 2.0**-25, 2.0**-26]])
    exact = base.astype(dtype)
    around = [exact, np.nextafter(exact, dtype(np.inf)), np.nextafter(exact, dtype(0))]
    bits = np.concatenate([a.view(word) for a in around])
    width = 8 * np.dtype(dtype).itemsize
    free = rng.integers(0, 2 ** (width - 1), count, dtype=word, endpoint=False)
    bits = np.concatenate([bits, free, wide_corners(width).astype(word)])
    return np.concatenate([bits, bits ^ word(1 << (width - 1))]).view(dtype)


def wide_corners(width: int) -> NDArray[np.uint64]:
    """Corner patterns of binary32 or binary64."""
    precision, emax = {32: (24, 127), 64: (53, 1023)}[width]
    return patterns(Format(f"binary{width}", width, precision, 1 - emax, emax, Specials.ieee), level=1)
