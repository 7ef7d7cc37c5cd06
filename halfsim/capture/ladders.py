"""Experiments on bfloat16, TF32 and FP8 factors: mostly ladders, whose first rung that is lost measures a parameter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.capture.words import FORMATS, decode, encode, storage

__all__ = ["ladders", "rungs"]

Factor = float | str
_HUGE, _TINY, _FLT_MAX = 2.0**14, 2.0**-6, 0x7F7FFFFF


@dataclass(frozen=True, slots=True)
class Rung:
    """One dot product: products (k, a, b), a factor a number or the hexadecimal word of a register; C a pattern."""

    name: str
    products: tuple[tuple[int, Factor, Factor], ...]
    addend: int = 0


def _halves(exponent: int) -> tuple[float, float]:
    """Two powers of two whose product is ``2**exponent``."""
    return 2.0 ** (exponent // 2), 2.0 ** (exponent - exponent // 2)


def _number(output: str, value: float) -> int:
    """The pattern of C."""
    if output == "f32":
        return int(np.float32(value).view(np.uint32))
    return int(np.float16(value).view(np.uint16))


def _fraction_bits(output: str) -> Iterator[Rung]:
    """F, and what it is counted from: the exponents of the factors added, subnormals with the smallest normal one."""
    big, pair = 2.0**7, (1.5 * 2.0**3, 1.5 * 2.0**3)
    for j in (*range(10, 18), *range(21, 29)):
        yield Rung(
            f"fraction bits: 2^{14 - j} beside 2^14 - 2^14", ((0, big, big), (1, -big, big), (2, *_halves(14 - j)))
        )
    for j in (11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27):
        yield Rung(
            f"unnormalised product exponent: 2^{6 - j} beside 144 - 144",
            ((0, *pair), (1, -pair[0], pair[1]), (2, *_halves(6 - j))),
        )
        yield Rung(
            f"C aligned with products: C = 2^{14 - j} beside 2^14 - 2^14",
            ((0, big, big), (1, -big, big)),
            _number(output, 2.0 ** (14 - j)),
        )
        yield Rung(f"truncation, not floor: 1 - 2^{-j}", ((0, 1.0, 1.0), (1, *_negated(-j))))


def _negated(exponent: int) -> tuple[float, float]:
    left, right = _halves(exponent)
    return -left, right


def _subnormal_factors(left: str) -> Iterator[Rung]:
    fmt = FORMATS[left]
    top = fmt.emin + 7
    for j in (10, 11, 12, 13, 14, 15, 16, 22, 23, 24, 25, 26, 27):
        yield Rung(
            f"subnormal factor has exponent {fmt.emin}: 2^{top - j} beside it",
            ((0, fmt.smallest_subnormal, 2.0**7), (1, -fmt.smallest_subnormal, 2.0**7), (2, *_halves(top - j))),
        )


def _blocks(output: str, length: int) -> Iterator[Rung]:
    """A tiny product at k survives exactly if it is not in the block of 2^14 - 2^14; the first k that does is L."""
    for k in (1, 2, 3, 4, 7, 8, 12, 15, 16, 24, 31, 32, 48):
        if k < length:
            yield Rung(
                f"terms per block: 2^14 at k0, 2^-12 at k{k}, C = -2^14",
                ((0, 2.0**7, 2.0**7), (k, _TINY, _TINY)),
                _number(output, -_HUGE),
            )
            yield Rung(
                f"order of blocks: 2^-12 at k0, 2^14 at k{k}, C = -2^14",
                ((0, _TINY, _TINY), (k, 2.0**7, 2.0**7)),
                _number(output, -_HUGE),
            )


# What is kept of a binary32 result, at the end of the first instruction: the next one would cut it again as C.
def _results(k: int) -> Iterator[Rung]:
    for word in (0x3FFFFFFF, 0xBFFFFFFF, 0x3F801FFF, 0x3F800400, 0x3F800200, 0x00000001, 0x80000001, 0x007FFFFF):
        yield Rung(f"C = {word:08x} alone", ((0, 0.0, 0.0),), word)
        yield Rung(f"C = {word:08x} and 1", ((0, 1.0, 1.0),), word)
        yield Rung(f"C = {word:08x} and -2^-9", ((0, *_negated(-9)),), word)
    for name, sign in (("positive", 1.0), ("negative", -1.0)):
        # Products 2.25 have exponent 0, so 2^-13 is the last bit that 13 fraction bits keep.
        last = (k - 1, sign * 2.0**-6, 2.0**-7)
        if k >= 8:
            yield Rung(f"result of 17 bits, {name}", (*((k - 8 + i, sign * 1.5, 1.5) for i in range(7)), last))
        yield Rung(f"result of 16 bits, {name}", (*((k - 3 + i, sign * 1.5, 1.5) for i in range(2)), last))
        yield Rung(f"C = FLT_MAX and 448, {name}", ((0, sign * 28.0, 16.0),), _FLT_MAX | (sign < 0) << 31)
    yield Rung("C = +Inf and -1", ((0, -1.0, 1.0),), 0x7F800000)
    yield Rung("signaling NaN C", ((0, 1.0, 1.0),), 0x7F800001)


# What is kept of a binary16 result: one rounding to nearest even, or what else.
def _roundings() -> Iterator[Rung]:
    for name, sign in (("", 1.0), (", negative", -1.0)):
        tie = ((0, sign, 1.0), (1, sign * 2.0**-5, 2.0**-6))
        yield Rung(f"tie to even{name}", tie)
        yield Rung(f"odd tie to even{name}", (*tie, (2, sign * 2.0**-4, 2.0**-6)))
        for j in (12, 13, 14, 15, 16, 23, 24, 25, 26):
            if j <= 18:
                yield Rung(f"tie broken by 2^{-j}{name}", (*tie, (2, sign * 2.0 ** -(j - 6), 2.0**-6)))
            scaled = ((0, sign * 2.0**4, 2.0**4), (1, sign * 2.0**-1, 2.0**-2), (2, sign * 2.0**-6, 2.0 ** (14 - j)))
            yield Rung(f"tie at 2^8 broken by 2^{8 - j}{name}", scaled)
        yield Rung(f"65504 and 16{name}", ((0, sign * 4.0, 4.0),), 0x7BFF | (sign < 0) << 15)
        yield Rung(f"65504 and 15{name}", ((0, sign * 5.0, 3.0),), 0x7BFF | (sign < 0) << 15)
        for j in range(8, 33):
            yield Rung(f"{'-' if sign < 0 else ''}2^{-j} alone, C = 0", ((0, sign * _halves(-j)[0], _halves(-j)[1]),))
    yield Rung("overflow inside a block cancels", ((0, 256.0, 256.0), (1, -256.0, 256.0), (2, 1.0, 1.0)))
    for j in range(26, 33):
        yield Rung(f"floor: 2^-25 + 2^{-j}", ((0, 2.0**-12, 2.0**-13), (1, *_halves(-j))))
        yield Rung(f"subnormal C: 2^-24 + 2^-25 + 2^{-j}", ((0, 2.0**-12, 2.0**-13), (1, *_halves(-j))), 0x0001)
    yield Rung("NaN C", ((0, 1.0, 1.0),), 0xFE01)


def _specials(output: str, left: str) -> Iterator[Rung]:
    nan = "7f" if left == "e4m3" else {"bf16": "7fc1", "tf32": "7fc02000", "e5m2": "7e"}[left]
    yield Rung("NaN factor", ((0, nan, 1.0),))
    yield Rung("NaN times 0", ((0, nan, 0.0),))
    yield Rung("C = -0 and -0 * 1", ((0, -0.0, 1.0), (1, -0.0, 1.0)), _number(output, -0.0))
    yield Rung("C = -0 and 1 - 1", ((0, 1.0, 1.0), (1, -1.0, 1.0)), _number(output, -0.0))
    yield Rung("zero product does not raise E", ((0, *_halves(-16)), (1, 0.0, 2.0**8)))
    infinity = {"bf16": "7f80", "tf32": "7f800000", "e5m2": "7c"}.get(left)
    if infinity is not None:
        yield Rung("Inf factor", ((0, infinity, 1.0),))
        yield Rung("0 * Inf", ((0, infinity, 0.0),))
        yield Rung("Inf - Inf", ((0, infinity, 1.0), (1, infinity, -1.0)))
        yield Rung("Inf and C = -Inf", ((0, infinity, 1.0),), _number(output, -np.inf))


def _wide_range() -> Iterator[Rung]:
    """The limits of binary32, which products of bfloat16 and TF32 pass."""
    for name, sign in (("", 1.0), ("-", -1.0)):
        big = (sign * 2.0**63, 2.0**64)
        yield Rung(f"{name}2^127 and {name}2^127", ((0, *big), (1, *big)))
        yield Rung(f"C = {name}FLT_MAX and {name}2^103", ((0, *_signed(sign, 103)),), _FLT_MAX | (sign < 0) << 31)
        yield Rung(f"C = {name}FLT_MAX and {name}2^104", ((0, *_signed(sign, 104)),), _FLT_MAX | (sign < 0) << 31)
        yield Rung(f"{name}2^254 alone", ((0, sign * 2.0**127, 2.0**127),))
        for j in (149, 150, 151, 252):
            yield Rung(f"{name}2^{-j} alone", ((0, *_signed(sign, -j)),))
        yield Rung(f"{name}3 * 2^-150", ((0, sign * 1.5 * 2.0**-75, 2.0**-74),))
    for e in (127, 128, 200, 254):
        for j in (20, 23, 24, 25, 26):
            products = ((0, *_halves(e)), (1, *_negated(e)), (2, *_halves(e - j)))
            yield Rung(f"2^{e} - 2^{e} and 2^{e - j}", products)
    # (2**j - 1) * 2**-(149 + j) and 2**-(149 + j) make 2**-149 if the unit is no coarser than the smaller of them.
    for left, right, j in (
        (1, 1, 1), (3, 1, 2), (7, 1, 3), (15, 1, 4), (31, 1, 5), (63, 1, 6), (127, 1, 7), (255, 1, 8),
        (73, 7, 9), (33, 31, 10), (89, 23, 11), (65, 63, 12),
    ):  # fmt: skip
        unit = 149 + j
        parts = ((0, left * 2.0**-80, right * 2.0 ** (80 - unit)), (1, 2.0**-80, 2.0 ** (80 - unit)))
        yield Rung(f"zero exponent: 2^-149 less 2^{-unit}, and 2^{-unit}", parts)
        yield Rung(f"subnormal C has exponent -126: the same with 2^{-unit} and C = 2^-149", parts, 0x00000001)


def _signed(sign: float, exponent: int) -> tuple[float, float]:
    left, right = _halves(exponent)
    return sign * left, right


def _unused_bits() -> Iterator[Rung]:
    """A TF32 number is the upper 19 bits of a register; the PTX ISA leaves open what the others do."""
    for name, word in (("1", "3f801fff"), ("0", "00001fff"), ("Inf, or NaN for those that read them", "7f801fff")):
        yield Rung(f"unused low bits of {name}", ((0, word, 1.0),))


def _largest_carries(left: str, right: str, output: str, length: int) -> Iterator[Rung]:
    a, b = (2 - 2.0 ** (1 - FORMATS[kind].precision) for kind in (left, right))
    top = _number(output, 2 - (2.0**-23 if output == "f32" else 2.0**-10))
    yield Rung("largest carry", tuple((k, a, b) for k in range(length)), top)
    yield Rung("largest carry, negative", tuple((k, -a, b) for k in range(length)), top | _number(output, -0.0))


@cache  # thousands of factors, hundreds of different ones
def _representable(kind: str, factor: Factor) -> bool:
    return isinstance(factor, str) or bool(decode(kind, encode(kind, factor)) == factor)


def rungs(inputs: tuple[str, str], output: str, length: int) -> tuple[Rung, ...]:
    """Return the experiments for formats of A and B and of C and D, K = `length`; those with numbers that both have."""
    left, right = inputs
    every = [*_fraction_bits(output), *_subnormal_factors(left), *_blocks(output, length), *_specials(output, left)]
    every += [*_largest_carries(left, right, output, length)]
    every += [*_results(length // 2)] if output == "f32" else [*_roundings()]
    if FORMATS[left].emax == 127:
        every += _wide_range()
    if left == "tf32":
        every += _unused_bits()
    return tuple(
        rung
        for rung in every
        if all(k < length and _representable(left, a) and _representable(right, b) for k, a, b in rung.products)
    )


def _word(kind: str, factor: Factor) -> Any:
    return storage(kind).type(int(factor, 16)) if isinstance(factor, str) else encode(kind, factor)


def ladders(inputs: tuple[str, str], output: str, shape: tuple[int, int, int]) -> dict[str, NDArray[Any]]:
    """Return A, B and C, K = k and 2 k: one tile per experiment of `rungs`, its dot product at every (i, j).

    Rows of A are alike and so are columns of B, so every lane of the instruction answers the same question.
    """
    m, n, k = shape
    every = rungs(inputs, output, 2 * k)
    A = np.zeros((len(every), m, 2 * k), storage(inputs[0]))
    B = np.zeros((len(every), 2 * k, n), storage(inputs[1]))
    for tile, rung in enumerate(every):
        for index, left, right in rung.products:
            A[tile, :, index], B[tile, index] = _word(inputs[0], left), _word(inputs[1], right)
    words = np.uint32 if output == "f32" else np.uint16
    C = np.stack([np.full((m, n), rung.addend, words) for rung in every])
    return {"A": A, "B": B, f"C.{output}": C, "K": np.array([k, 2 * k], np.int32)}
