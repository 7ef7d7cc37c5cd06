"""Bit patterns of the factors of matrix instructions, by PTX's names of their formats: encoded, decoded, drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from halfsim.formats import Specials
from halfsim.tensorcores.fused import INPUTS as FORMATS

__all__ = ["FORMATS", "bits", "decode", "drawn", "encode", "infinity", "largest", "sign", "storage"]

Words = NDArray[Any]


def bits(kind: str) -> int:
    """Bits that an element takes in a register: a TF32 number is the upper 19 of 32."""
    return 1 << (FORMATS[kind].width - 1).bit_length()


def storage(kind: str) -> np.dtype[Any]:
    """Return the unsigned dtype of a pattern."""
    return np.dtype(f"u{bits(kind) // 8}")


def _in_register(kind: str, patterns: NDArray[Any]) -> Words:
    return (patterns.astype(np.int64) << (bits(kind) - FORMATS[kind].width)).astype(storage(kind))


def sign(kind: str) -> Any:
    """Return the word that holds the sign alone."""
    return storage(kind).type(1 << (bits(kind) - 1))


def infinity(kind: str) -> int | None:
    """Return the pattern of infinity, without the unused bits of its register, if the format has one."""
    fmt = FORMATS[kind]
    return (1 << (fmt.width - 1)) - (1 << (fmt.precision - 1)) if fmt.specials == Specials.ieee else None


def largest(kind: str) -> int:
    """Return the pattern of the largest finite number, without the unused bits of its register."""
    top = infinity(kind)
    return (1 << (FORMATS[kind].width - 1)) - 2 if top is None else top - 1


def encode(kind: str, values: ArrayLike) -> Words:
    """Return the words of finite numbers, rounded to nearest even; what is too large becomes the largest number."""
    fmt, numbers = FORMATS[kind], np.asarray(values, np.float64)
    magnitude = np.abs(numbers)
    exponent = np.where(magnitude == 0, fmt.emin, np.maximum(np.frexp(magnitude)[1] - 1, fmt.emin))
    # The hidden bit of the significand, an integer, counts the exponent field up from that of subnormals.
    significand = np.rint(np.ldexp(magnitude, fmt.precision - 1 - exponent)).astype(np.int64)
    pattern = ((exponent - fmt.emin).astype(np.int64) << (fmt.precision - 1)) + significand
    pattern = np.minimum(pattern, largest(kind)) | np.signbit(numbers).astype(np.int64) << (fmt.width - 1)
    return _in_register(kind, pattern)


def decode(kind: str, words: Words) -> NDArray[np.float32]:
    """Return the numbers that words stand for, as binary32 has them all; a TF32 word's unused bits are ignored."""
    fmt = FORMATS[kind]
    pattern = words.astype(np.int64) >> (bits(kind) - fmt.width)
    magnitude = pattern & ((1 << (fmt.width - 1)) - 1)
    field, fraction = magnitude >> (fmt.precision - 1), magnitude & ((1 << (fmt.precision - 1)) - 1)
    significand = np.where(field > 0, fraction + (1 << (fmt.precision - 1)), fraction).astype(np.float64)
    numbers = np.ldexp(significand, np.maximum(field, 1) - 1 + fmt.emin - fmt.precision + 1)
    top = infinity(kind)
    if top is not None:
        numbers = np.where(magnitude == top, np.inf, numbers)
    numbers = np.where(magnitude > (largest(kind) if top is None else top), np.nan, numbers)
    return np.where(pattern >> (fmt.width - 1) != 0, -numbers, numbers).astype(np.float32)


def drawn(rng: np.random.Generator, kind: str, shape: tuple[int, ...], low: int, high: int) -> Words:
    """Return finite words of random sign and significand, exponents from low to high or as near as the format goes.

    The exponent ``emin - 1`` stands for subnormal numbers and zero.
    """
    fmt = FORMATS[kind]
    low, high = (min(max(exponent, fmt.emin - 1), fmt.emax) for exponent in (low, high))
    field = rng.integers(low, high + 1, shape) - fmt.emin + 1
    fraction = rng.integers(0, 1 << (fmt.precision - 1), shape)
    magnitude = np.minimum(field << (fmt.precision - 1) | fraction, largest(kind))
    return _in_register(kind, magnitude | rng.integers(0, 2, shape) << (fmt.width - 1))
