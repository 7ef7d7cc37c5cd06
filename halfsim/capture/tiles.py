"""Operands of the matrix instructions, one coverage class per tile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLASSES", "chains", "tiles"]

Words = NDArray[np.uint16]
Shape = tuple[int, ...]
# Factors A and B, and the scale of a C that meets their products (None: random patterns; 0: zeros of both signs).
Made = tuple[Words, Words, "float | None"]


def _bits(values: NDArray[Any]) -> Words:
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float64).astype(np.float16).view(np.uint16)


def _drawn(rng: np.random.Generator, shape: Shape, low: int, high: int) -> Words:
    """Random sign and significand, exponent field from low to high."""
    words = rng.integers(0, 2, shape) << 15 | rng.integers(low, high + 1, shape) << 10 | rng.integers(0, 1024, shape)
    return words.astype(np.uint16)


def _random_bits(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    return rng.integers(0, 1 << 16, left).astype(np.uint16), rng.integers(0, 1 << 16, right).astype(np.uint16), None


def _finite_bits(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    return _drawn(rng, left, 0, 30), _drawn(rng, right, 0, 30), 2.0 ** rng.integers(-20, 20)


def _normal(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    return _bits(rng.standard_normal(left)), _bits(rng.standard_normal(right)), 1.0


def _wide(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    """Terms within the reach of the alignment: exponents of products spread over about 30."""
    return _drawn(rng, left, 8, 22), _drawn(rng, right, 8, 22), 2.0 ** rng.integers(-8, 9)


def _subnormal(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    A = np.where(rng.random(left) < 0.6, _drawn(rng, left, 0, 0), _drawn(rng, left, 1, 6))
    B = _drawn(rng, right, 0, int(rng.choice([0, 3, 15, 20])))
    return A, B, 2.0 ** rng.integers(-30, -13)


def _cancelling(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    """All but two of the products cancel in pairs, in any order of k; what is left is tiny beside them."""
    k = left[-1]
    A, B = _drawn(rng, left, 14, 24), _drawn(rng, right, 14, 24)
    order = rng.permutation(k)
    for first, second in zip(order[: k - 2 : 2], order[1 : k - 1 : 2], strict=True):
        A[..., second] = A[..., first]
        B[..., second, :] = B[..., first, :] ^ 0x8000
    rest = order[k - 2 :]
    A[..., rest], B[..., rest, :] = _drawn(rng, A[..., rest].shape, 4, 14), _drawn(rng, B[..., rest, :].shape, 10, 16)
    return A, B, 2.0 ** rng.integers(-12, 6)


def _ties(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    """Powers of two: one product near 1, the others half an ulp of the result or sticky bits far below."""
    A = _bits(np.ldexp(rng.choice([-1.0, 1.0], left), rng.choice([-14, -13, -12, -7, -6, -5, -1, 0], left)))
    B = _bits(np.ldexp(rng.choice([-1.0, 1.0], right), rng.choice([-13, -11, -6, -5, -1, 0], right)))
    A[..., 0] = _bits(1.0 + rng.integers(0, 1024, left[:-1]) / 1024.0)
    B[..., 0, :] = 0x3C00
    return A, B, 2.0**-11


def _overflow(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    """Sums around 65504, and around twice that with one operand negated; C close to the largest number."""
    A, B = _drawn(rng, left, 21, 24), _drawn(rng, right, 18, 22)
    return A & np.uint16(0x7FFF if rng.random() < 0.5 else 0xFFFF), B, 65504.0


def _specials(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    A, B, _ = _normal(rng, left, right)
    chosen = np.array([0x7C00, 0xFC00, 0x7C01, 0xFD55, 0x7E00, 0xFE01, 0x7FFF, 0x0000, 0x8000, 0x7BFF], np.uint16)
    weights = [0.25, 0.25, 0.03, 0.03, 0.03, 0.03, 0.03, 0.1, 0.1, 0.15]
    for words in (A, B):
        hit = rng.random(words.shape) < 0.04
        words[hit] = rng.choice(chosen, hit.sum(), p=weights)
    return A, B, 1.0


def _zeros(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    signed = np.array([0x0000, 0x8000], np.uint16)
    A, B = rng.choice(signed, left), _drawn(rng, right, 0, 30)
    tiny = rng.random(left) < 0.05
    A[tiny] = rng.choice(np.array([0x0001, 0x8001, 0x0400], np.uint16), tiny.sum())
    return A, B, 0.0


def _carry(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    """The largest sums that a block can hold: significands of ones, mostly of one sign."""
    A = np.full(left, 0x3FFF, np.uint16) ^ np.where(rng.random(left) < 0.1, 0x8000, 0).astype(np.uint16)
    B = np.full(right, 0x3FFF, np.uint16) - rng.integers(0, 2, right).astype(np.uint16)
    return A, B, 3.99


def _floor(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    """A product of half the smallest subnormal, and far smaller ones near the unit that a zero term's exponent sets."""
    A = rng.choice(np.array([0, 0, 0, 0, 0, 0x0001, 0x0002, 0x0003, 0x8001], np.uint16), left)
    B = (1 << rng.integers(0, 8, right) | rng.integers(0, 2, right)).astype(np.uint16)
    A[..., 0], B[..., 0, :] = 0x0800, 0x0C00 | rng.integers(0, 2, right[-1]) << 15
    return A, B, 0.0


def _sparse(rng: np.random.Generator, left: Shape, right: Shape) -> Made:
    A, B, scale = _normal(rng, left, right)
    A[rng.random(left) < 0.7] = 0
    return A, B, scale


_MAKERS: dict[str, Callable[[np.random.Generator, Shape, Shape], Made]] = {
    "normal": _normal,
    "cancellation": _cancelling,
    "wide-exponents": _wide,
    "random-bits": _random_bits,
    "finite-bits": _finite_bits,
    "subnormal": _subnormal,
    "ties": _ties,
    "overflow": _overflow,
    "specials": _specials,
    "signed-zeros": _zeros,
    "carry": _carry,
    "zero-exponent": _floor,
    "sparse": _sparse,
}
CLASSES = tuple(_MAKERS)
"""Names of the coverage classes, in the order of their indices."""


def _addend(rng: np.random.Generator, kind: str, shape: Shape, scale: float | None) -> NDArray[Any]:
    """Return patterns of C in a format, of a scale; one in sixteen a zero."""
    if kind == "f16":
        words: NDArray[Any] = rng.integers(0, 1 << 16, shape).astype(np.uint16)
    else:
        words = rng.integers(0, 1 << 32, shape, dtype=np.uint32)
    if scale is None:
        return words
    dtype, size = (np.float16, np.uint16) if kind == "f16" else (np.float32, np.uint32)
    sign = rng.choice([-1.0, 1.0], shape)
    with np.errstate(over="ignore"):
        values = sign * scale * (1 - rng.integers(0, 1 << 10, shape) / (1 << 13)) * (rng.random(shape) > 1 / 16)
        exact: NDArray[Any] = values.astype(dtype).view(size)
    if kind == "f32":  # low bits that a binary16 number does not have
        exact = np.where(exact << 1 == 0, exact, exact ^ rng.integers(0, 1 << 12, shape, dtype=np.uint32))
    return exact.astype(size)


def tiles(
    seed: int, shape: tuple[int, int, int], per_class: int, classes: int | None = None
) -> dict[str, NDArray[Any]]:
    """Return A, B, C.f32, C.f16 of (tiles, ...) and ``coverage``, indices into `CLASSES`; or of the first classes."""
    m, n, k = shape
    rng = np.random.default_rng([seed, m, n, k])
    made: dict[str, list[NDArray[Any]]] = {"A": [], "B": [], "C.f32": [], "C.f16": []}
    makers = list(_MAKERS.values())[:classes]
    for maker in makers:
        for _ in range(per_class):
            A, B, scale = maker(rng, (m, k), (k, n))
            made["A"].append(A)
            made["B"].append(B)
            for kind in ("f32", "f16"):
                made[f"C.{kind}"].append(_addend(rng, kind, (m, n), scale))
    coverage = np.repeat(np.arange(len(makers), dtype=np.uint8), per_class)
    return {name: np.stack(items) for name, items in made.items()} | {"coverage": coverage}


def chains(seed: int, shape: tuple[int, int, int], longest: int) -> dict[str, NDArray[Any]]:
    """Return one tile with N(0, 1) and one with wide exponents, of K = `longest`, and the lengths K to stop at."""
    m, n, _ = shape
    rng = np.random.default_rng([seed, m, n, longest])
    pairs = [maker(rng, (m, longest), (longest, n)) for maker in (_normal, _wide)]
    A, B = np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs])
    C = _bits(rng.standard_normal((2, m, n)))
    lengths = [1 << e for e in range(4, longest.bit_length())]
    wide = C.view(np.float16).astype(np.float32).view(np.uint32)
    return {"A": A, "B": B, "C.f32": wide, "C.f16": C, "K": np.array(lengths, np.int32)}
