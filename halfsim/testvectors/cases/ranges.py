"""Families about the ends of the range: tininess, overflow, cancellation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from halfsim.testvectors.cases.family import Drawn, Family, Grid, Listed, Source, Words, unsigned
from halfsim.testvectors.cases.numbers import both_signs, corners
from halfsim.testvectors.cases.significands import Pairs, brim_products
from halfsim.testvectors.cases.ties import normal, signs, thinned
from halfsim.testvectors.formats.names import TYPES
from halfsim.testvectors.subjects import Subject

__all__ = ["FAMILIES"]

_EXPONENTS = np.arange(1, 31)


def _at(pairs: Pairs, total: NDArray[np.int64]) -> tuple[Words, Words]:
    """Return pairs with every two exponents that add up to `total`, one number for each pair."""
    a, b = [], []
    for first in _EXPONENTS:
        second = total - first
        fits = (second >= 1) & (second <= 30)
        a.append(normal(pairs.a[fits], int(first)))
        b.append(normal(pairs.b[fits], second[fits]))
    return np.concatenate(a), np.concatenate(b)


def _brim_products(power: int) -> tuple[Words, Words]:
    """Return factors whose product lies just below 2**power, or is the number before it."""
    pairs = brim_products()
    # (a * 2**(e - 25)) * (b * 2**(f - 25)) is near 2**(length + e + f - 50).
    return _at(pairs, power + 50 - pairs.length)


def _subnormal_factors(power: int) -> tuple[Words, Words]:
    """Return a subnormal and a normal factor whose product, cut to 11 bits, is all ones just below 2**power."""
    small = np.repeat(np.arange(1, 1024), 1024)
    large = np.tile(np.arange(1024, 2048), 1023)
    product = small * large
    length = np.floor(np.log2(product)).astype(np.int64) + 1
    cut = np.where(length > 11, product >> np.maximum(length - 11, 0), product << np.maximum(11 - length, 0))
    # small * 2**-24 times large * 2**(f - 25)
    exponent = power + 49 - length
    fits = (cut == 2047) & (exponent >= 1) & (exponent <= 30)
    return small[fits].astype(np.uint16), normal(large[fits], exponent[fits])


def _beside(kind: str, value: float) -> Words:
    """Return a value of a wide float type, and those that one changed digit makes of it or of a neighbour."""
    native = {"f32": np.float32, "f64": np.float64}[kind]
    bits = 23 if kind == "f32" else 52
    word = unsigned(kind)
    center = int(np.array(value, native).view(word))
    steps = {step for place in range(bits - 9) for step in (1 << place, (1 << place) - 1, (1 << place) + 1)} | {0}
    around = sorted({center + sign * step for step in steps for sign in (1, -1)})
    return both_signs(kind, np.array(around, np.uint64).astype(word))


def _tininess(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    """Results just below 2**-14 that round up to it in some direction: where before and after rounding differ."""
    match subject.name:
        case "multiply":
            small, large = _subnormal_factors(-14)
            first, second = _brim_products(-14)
            columns = np.concatenate([first, small, large]), np.concatenate([second, large, small])
            return signs(thinned(columns, level, 6000), level)
        case "fma":
            step = 16 if level > 1 else 400
            small, large = (column[:: 2 * step] for column in _subnormal_factors(-14))
            first, second = (column[::step] for column in _brim_products(-14))
            first, second = np.concatenate([first, small, large]), np.concatenate([second, large, small])
            tiny = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x0002, 0x8002], np.uint16)
            # And addends beside 2^-14 that a tiny product moves over or under it.
            factors = np.array([0x0001, 0x0003, 0x03FF, 0x0401, 0x1401], np.uint16)
            scales = (np.arange(1, 31, dtype=np.uint16) << np.uint16(10)) + np.uint16(1)
            grid = Grid([factors, scales, np.array([0x03FE, 0x03FF, 0x0400, 0x0401], np.uint16)])
            moved = grid.block(0, grid.rows)
            decided = (np.repeat(first, 6), np.repeat(second, 6), np.tile(tiny, len(first)))
            both = zip(decided, moved, (moved[1], moved[0], moved[2]), strict=True)
            return signs(tuple(np.concatenate(column) for column in both), 2)
        case "convert_f32_f16" | "convert_f64_f16":
            return Listed([_beside(subject.operands[0], 2.0**-14)])
        case _:
            # A quotient of significands of 11 bits never lies that near a power of two; sums are exact there.
            return None


def _overflow(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    """Results about 65504, 65520 and 65536."""
    large = np.array([0x7BFF, 0x7BFE, 0x7BFD, 0x7800, 0x77FF, 0x7000], np.uint16)
    halves = np.array([0x4C00, 0x4BFF, 0x4C01, 0x4800, 0x4E00, 0x5000, 0x0001, 0x3C00], np.uint16)
    match subject.name:
        case "add" | "subtract":
            both = [both_signs("f16", np.concatenate([large, halves]))] * 2
            return Grid(both)
        case "multiply":
            return signs(thinned(_brim_products(16), level), level)
        case "divide":
            divisors = np.array([0x3C01, 0x3C00, 0x3BFF, 0x3BFE, 0x3BFC, 0x3800, 0x0400, 0x03FF, 1], np.uint16)
            return Grid([both_signs("f16", large), both_signs("f16", divisors)])
        case "fma":
            factors = np.array([0x7BFF, 0x7BFE, 0x5BFF, 0x5C00, 0x4000, 0x3C01, 0x3C00, 0x3BFF], np.uint16)
            return Grid([both_signs("f16", factors), factors, both_signs("f16", np.concatenate([large, halves]))])
        case "scaleb":
            exponents = np.arange(-45, 46).astype(np.uint16)
            return Grid([both_signs("f16", np.array([1, 0x3FF, 0x400, 0x3C00, 0x3FFF, 0x7BFF], np.uint16)), exponents])
        case "convert_f32_f16" | "convert_f64_f16":
            edges = [_beside(subject.operands[0], value) for value in (65504.0, 65520.0, 65536.0)]
            return Listed([np.unique(np.concatenate(edges))])
        case name if name.startswith("convert_") and subject.result == "f16" and TYPES[subject.operands[0]] >= 32:
            kind = subject.operands[0]
            near = np.arange(65490, 65545, dtype=np.int64)
            values = np.concatenate([near, -near]) if kind.startswith("i") else near
            return Listed([values.astype(unsigned(kind))])
        case _:
            return None


def _cancellation(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    """Sums of numbers that are nearly each other's negatives; fma with an addend near the negative product."""
    if subject.name not in ("add", "subtract", "fma", "remainder"):
        return None

    def near(words: np.ndarray) -> tuple[Words, ...]:
        a = (words[:, 0] & np.uint64(0xFFFF)).astype(np.int64)
        step = (words[:, 1] % np.uint64(7)).astype(np.int64) - 3
        step = np.where(words[:, 2] % np.uint64(4) == 0, step << 8, step)
        b = ((a & 0x7FFF) + step) & 0x7FFF
        flipped = 0x8000 if subject.name == "add" else 0
        return a.astype(np.uint16), (b | (a & 0x8000 ^ flipped)).astype(np.uint16)

    def fused(words: np.ndarray) -> tuple[Words, ...]:
        a, b = ((words[:, i] & np.uint64(0xFFFF)).astype(np.uint16) for i in (0, 1))
        choice = words[:, 3] % np.uint64(8)
        # Products with a subnormal factor, whose sums may leave less than the smallest number.
        a = np.where(choice < 2, a & np.uint16(0x83FF), a)
        b = np.where((choice == 2) | (choice == 3), b & np.uint16(0x83FF), b)
        with np.errstate(all="ignore"):
            product = a.view(np.float16).astype(np.float64) * b.view(np.float16)
            rounded = (-product).astype(np.float16).view(np.uint16).astype(np.int64)
        step = (words[:, 2] % np.uint64(5)).astype(np.int64) - 2
        c = np.where((rounded & 0x7FFF) + step >= 0, rounded + step, rounded)
        return a, b, c.astype(np.uint16)

    if subject.name == "fma":
        return Drawn(2 * count, seed, "cancellation", fused)
    return Drawn(count, seed, "cancellation", near)


def _exact_zero(subject: Subject, level: int, seed: int, count: int) -> Source | None:
    """Operands whose exact result is zero though none of them is."""
    values = corners("f16", 1)
    finite = values[(values & 0x7C00 != 0x7C00) & (values & 0x7FFF != 0)]
    match subject.name:
        case "add":
            return Listed([finite, finite ^ 0x8000])
        case "subtract" | "remainder":
            return Listed([finite, finite])
        case "fma":
            powers = both_signs("f16", np.arange(1, 31, 3, dtype=np.uint16) << np.uint16(10))
            a, b = (column.ravel() for column in np.meshgrid(finite, powers))
            with np.errstate(all="ignore"):
                product = a.view(np.float16).astype(np.float64) * b.view(np.float16)
                c = (-product).astype(np.float16)
            fits = (c.astype(np.float64) == -product) & (product != 0)
            a, b, c = a[fits], b[fits], c[fits].view(np.uint16)
            return Listed([np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([c, c])])
        case _:
            return None


FAMILIES = (
    Family("exact-zero", "numbers whose sum, or product and addend, cancel exactly", _exact_zero),
    Family("tininess", "results just below 2^-14 that can round to it: tininess before and after differ", _tininess),
    Family("overflow", "results about the largest number and the rounding to infinity", _overflow),
    Family("cancellation", "operands that nearly cancel; fma with the negative of the rounded product", _cancellation),
)
