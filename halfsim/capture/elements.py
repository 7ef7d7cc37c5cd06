"""Operands of the scalar instructions: corners in every combination, then equal shares of the coverage classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "from_integers", "stochastic", "tuples", "wide_floats"]

CLASSES = ("corners", "random-bits", "normal", "wide-exponents", "subnormal", "cancellation", "ties", "overflow")

# Zeros, extreme subnormals and normals, one, its neighbours, the largest numbers, infinities, NaNs with payloads.
_SMALL = (0x0000, 0x0001, 0x0002, 0x01FF, 0x03FF, 0x0400, 0x0401, 0x0800, 0x1000, 0x1400, 0x37FF, 0x3800, 0x3BFF)
_LARGE = (0x3C00, 0x3C01, 0x3E00, 0x3FFF, 0x4000, 0x6400, 0x6800, 0x7800, 0x7BFE, 0x7BFF, 0x7C00)
_NANS = (0x7C01, 0x7D55, 0x7DFF, 0x7E00, 0x7E01, 0x7FFF)
_CORNERS = np.array([sign | bits for bits in (*_SMALL, *_LARGE, *_NANS) for sign in (0, 0x8000)], np.uint16)
_FEW = np.array(
    [0x0000, 0x8000, 0x0001, 0x03FF, 0x0400, 0x8401, 0x3C00, 0xBC01, 0x7BFF, 0xFC00, 0x7C00, 0x7D01, 0xFE02]
)

Words = NDArray[np.uint16]


def _bits(values: NDArray[Any]) -> Words:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).view(np.uint16)


def _wide(rng: np.random.Generator, count: int, low: int = 0, high: int = 31) -> Words:
    return (
        rng.integers(0, 2, count) << 15 | rng.integers(low, high, count) << 10 | rng.integers(0, 1024, count)
    ).astype(np.uint16)


def _nearby(rng: np.random.Generator, words: Words, reach: int = 2) -> Words:
    return (words.astype(np.int64) + rng.integers(-reach, reach + 1, words.size)).astype(np.uint16)


def _related(rng: np.random.Generator, kind: str, arity: int, count: int) -> list[Words]:
    """Operands that meet: a sum or a product of the first two near what the last one holds or halves."""
    a, b = _wide(rng, count, 1, 30), _wide(rng, count, 1, 30)
    with np.errstate(all="ignore"):
        if arity == 3:
            target = a.view(np.float16).astype(np.float64) * b.view(np.float16)
        else:
            target = a.view(np.float16).astype(np.float64)
        if kind == "cancellation":
            last = _nearby(rng, _bits(-target))
        else:  # half an ulp of the target, or a neighbour of it
            half = np.ldexp(1.0, np.frexp(target)[1] - 12) * rng.choice([-1, 1, 1.0009765625, 0.99951171875, 3], count)
            last = _bits(half)
    return [a, b, last] if arity == 3 else [a, last]


def _share(rng: np.random.Generator, kind: str, arity: int, count: int) -> list[Words]:
    if kind in ("cancellation", "ties") and arity > 1:
        return _related(rng, kind, arity, count)
    makers: dict[str, Callable[[], Words]] = {
        "random-bits": lambda: rng.integers(0, 1 << 16, count).astype(np.uint16),
        "normal": lambda: _bits(rng.standard_normal(count)),
        "wide-exponents": lambda: _wide(rng, count),
        "subnormal": lambda: _wide(rng, count, 0, int(rng.choice([1, 2, 12, 18]))),
        "overflow": lambda: _wide(rng, count, int(rng.choice([14, 22, 29, 30])), 31),
    }
    return [makers.get(kind, makers["random-bits"])() for _ in range(arity)]


def tuples(seed: int, arity: int, count: int) -> dict[str, NDArray[Any]]:
    """Return binary16 operands a, b, c (as many as `arity`) and ``coverage``, indices into `CLASSES`."""
    rng = np.random.default_rng([seed, arity])
    corners = np.meshgrid(*([_CORNERS] * arity if arity < 3 else [_FEW.astype(np.uint16)] * arity), indexing="ij")
    columns = [item.reshape(-1) for item in corners]
    coverage = [np.zeros(columns[0].size, np.uint8)]
    shares = np.array_split(np.arange(columns[0].size, count), len(CLASSES) - 1)
    for index, share in enumerate(shares, start=1):
        made = _share(rng, CLASSES[index], arity, share.size)
        columns = [np.concatenate(pair) for pair in zip(columns, made, strict=True)]
        coverage.append(np.full(share.size, index, np.uint8))
    return dict(zip("abc", columns, strict=False)) | {"coverage": np.concatenate(coverage)}


def _between(rng: np.random.Generator, count: int, precision: int) -> NDArray[np.float64]:
    """Binary16 numbers, the midpoints above them, and neighbours of both in a wider format."""
    bits = np.concatenate([rng.integers(0, 0x7C01, count // 4), np.repeat([0, 1, 0x3FF, 0x400, 0x7BFF], 8)])
    low = bits.astype(np.uint16).view(np.float16).astype(np.float64)
    low[np.isinf(low)] = 65536.0
    gap = np.where(low < 2.0**-14, 2.0**-24, np.ldexp(1.0, np.frexp(np.maximum(low, 1e-9))[1] - 11))
    near = low + gap * rng.choice([0, 0.25, 0.5, 0.5, 0.75], low.size)
    ulp = np.ldexp(1.0, np.frexp(np.maximum(near, 2.0**-26))[1] - precision)
    near = near + ulp * rng.integers(-1, 2, low.size)
    return np.concatenate([near, -near])


def wide_floats(seed: int, kind: str, count: int) -> dict[str, NDArray[Any]]:
    """Return binary32 (``"f32"``) or binary64 (``"f64"``) patterns a, and b, the same in another order.

    Ties between binary16 numbers and their neighbours; overflow edges; powers of two from far below the smallest
    subnormal to far above the largest number; infinities, zeros, NaNs with payloads; random bits.
    """
    rng = np.random.default_rng([seed, 32 if kind == "f32" else 64])
    words, floats = (np.uint32, np.float32) if kind == "f32" else (np.uint64, np.float64)
    width, precision = (32, 24) if kind == "f32" else (64, 53)
    powers = np.ldexp(1.0, np.arange(-60, 40))
    edges = np.array([65504, 65519, 65519.99609375, 65520, 65520.00390625, 65535, 65536, 2.0**-25, 2.0**-24, 2.0**-14])
    values = np.concatenate(
        [_between(rng, count, precision), powers, powers * 1.5, edges, rng.standard_normal(count // 8)]
    )
    values = np.concatenate([values, -values])
    specials = np.array(
        [0x7F800000, 0x7FC00000, 0x7F800001, 0x7FFFFFFF, 0x7FA12345, 0x00000001, 0x007FFFFF, 0, 0x7F7FFFFF]
    )
    if kind == "f64":
        specials = np.array(
            [0x7FF << 52, 0xFFF << 51, 0x7FF << 52 | 1, (1 << 63) - 1, 1, (1 << 52) - 1, 0, (0x7FF << 52) - 1]
        )
    specials = specials.astype(words)
    specials = np.concatenate([specials, specials + words(1 << (width - 1))])
    a = np.concatenate([specials, values.astype(floats).view(words)])
    a = np.concatenate([a, rng.integers(0, 1 << 64, max(count - a.size, 0) or 64, dtype=np.uint64).astype(words)])
    picked = np.concatenate([np.arange(specials.size), specials.size + rng.permutation(a.size - specials.size)])[:count]
    a = a[picked]
    return {"a": a, "b": rng.permutation(a)}


def stochastic(seed: int, count: int) -> dict[str, NDArray[Any]]:
    """Return binary32 patterns a and b, and r, words of random bits with the extremes among them."""
    operands = wide_floats(seed, "f32", count)
    rng = np.random.default_rng([seed, 13])
    r = rng.integers(0, 1 << 32, count, dtype=np.uint32)
    r[::8] = rng.choice(np.array([0, 0xFFFFFFFF, 0x1FFF, 0x1FFF0000, 0x10001000], np.uint32), r[::8].size)
    return operands | {"r": r}


def from_integers(seed: int, kind: str, count: int) -> dict[str, NDArray[Any]]:
    """Return the patterns of integers: all of 16 bits, else powers of two, halfway cases and every magnitude."""
    width = int(kind[1:])
    words = np.dtype(f"u{width // 8}").type
    if width == 16:
        return {"a": np.arange(1 << 16).astype(np.uint16)}
    rng = np.random.default_rng([seed, width, kind[0] == "s"])
    powers = [(1 << bit) + step for bit in range(width) for step in (-1, 0, 1)]
    halves = [(2048 + 2 * i + 1 << s) + step for s in range(6) for i in range(64) for step in (-1, 0, 1)]
    edges = [*range(65500, 65540), (1 << width) - 1, (1 << (width - 1)) - 1]
    fixed = np.array([value % (1 << width) for value in (*powers, *halves, *edges)], np.uint64)
    shifts = rng.integers(0, width, max(count - 2 * fixed.size, 64)).astype(np.uint64)
    drawn = rng.integers(0, 1 << 63, shifts.size, dtype=np.uint64) * np.uint64(2) >> shifts
    everything = np.concatenate([fixed, ~fixed + np.uint64(1), drawn, ~drawn])
    return {"a": everything.astype(words)[:count] if everything.size >= count else everything.astype(words)}
