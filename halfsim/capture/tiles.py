"""Operands of the matrix instructions, one coverage class per tile, in any of their formats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim.capture.words import FORMATS, bits, drawn, encode, infinity, largest, sign, storage
from halfsim.formats import Format

__all__ = ["CLASSES", "chains", "tiles"]

Words = NDArray[Any]
Shape = tuple[int, ...]
# Factors A and B, and the scale of a C that meets their products (None: random patterns; 0: zeros of both signs).
Made = tuple[Words, Words, "float | None"]
_FLT_MAX = (2 - 2.0**-23) * 2.0**127


@dataclass(frozen=True, slots=True)
class _Factor:
    """A or B: PTX's name of its format, and its shape."""

    kind: str
    shape: Shape

    @property
    def format(self) -> Format:
        return FORMATS[self.kind]

    @property
    def wide(self) -> bool:
        """Whether products reach the limits of binary32."""
        return self.format.emax == 127

    def drawn(self, rng: np.random.Generator, low: int, high: int, shape: Shape | None = None) -> Words:
        return drawn(rng, self.kind, self.shape if shape is None else shape, low, high)

    def encode(self, values: Any) -> Words:
        return encode(self.kind, values)

    def powers(self, exponents: Any) -> Words:
        """Powers of two, or the smallest number where they are smaller."""
        return self.encode(np.ldexp(1.0, np.maximum(exponents, self.format.emin - self.format.precision + 1)))


def _random_bits(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    left, right = (
        rng.integers(0, 1 << item.format.width, item.shape) << (bits(item.kind) - item.format.width) for item in (a, b)
    )
    return left.astype(storage(a.kind)), right.astype(storage(b.kind)), None


def _finite_bits(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    return a.drawn(rng, -200, 200), b.drawn(rng, -200, 200), 2.0 ** rng.integers(-20, 20)


def _normal(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    return a.encode(rng.standard_normal(a.shape)), b.encode(rng.standard_normal(b.shape)), 1.0


def _wide(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    """Terms within the reach of the alignment: exponents of products spread over about 30."""
    return a.drawn(rng, -7, 7), b.drawn(rng, -7, 7), 2.0 ** rng.integers(-8, 9)


def _subnormal(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    """Mostly subnormal A; B subnormal too, or large enough for products that count."""
    emin = a.format.emin
    A = np.where(rng.random(a.shape) < 0.6, a.drawn(rng, emin - 1, emin - 1), a.drawn(rng, emin, emin + 5))
    high = int(rng.choice([b.format.emin - 1, b.format.emin + 2, 0, 5]))
    B = b.drawn(rng, max(high - 15, b.format.emin - 1), high)
    return A, B, 2.0 ** max(emin + high + int(rng.integers(-16, 1)), -149)


def _cancelling(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    """All but two of the products cancel in pairs, in any order of k; what is left is tiny beside them."""
    k = a.shape[-1]
    A, B = a.drawn(rng, -1, 9), b.drawn(rng, -1, 9)
    order = rng.permutation(k)
    for first, second in zip(order[: k - 2 : 2], order[1 : k - 1 : 2], strict=True):
        A[..., second] = A[..., first]
        B[..., second, :] = B[..., first, :] ^ sign(b.kind)
    rest = order[k - 2 :]
    A[..., rest] = a.drawn(rng, -11, -1, A[..., rest].shape)
    B[..., rest, :] = b.drawn(rng, -5, 1, B[..., rest, :].shape)
    return A, B, 2.0 ** rng.integers(-12, 6)


def _ties(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    """Powers of two: one product near 1, the others half an ulp of the result or sticky bits far below."""
    A = a.powers(rng.choice([-14, -13, -12, -7, -6, -5, -1, 0], a.shape)) ^ sign(a.kind) * rng.integers(0, 2, a.shape)
    B = b.powers(rng.choice([-13, -11, -6, -5, -1, 0], b.shape)) ^ sign(b.kind) * rng.integers(0, 2, b.shape)
    A[..., 0] = a.encode(1.0 + rng.integers(0, 1024, a.shape[:-1]) / 1024.0)
    B[..., 0, :] = b.encode(1.0)
    return A.astype(storage(a.kind)), B.astype(storage(b.kind)), 2.0**-11


def _overflow(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    """Sums around the largest number of the result, cancelling or of one sign; C close to that number."""
    if a.wide:
        A, B, scale = a.drawn(rng, 61, 64), b.drawn(rng, 59, 63), _FLT_MAX
    else:
        A, B, scale = a.drawn(rng, 6, 9), b.drawn(rng, 3, 7), 65504.0
    return (A & ~sign(a.kind) if rng.random() < 0.5 else A), B, scale


def _specials(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    """One element in 25 of a row of 16 is an infinity, a NaN, a zero or the largest number."""
    A, B, _ = _normal(rng, a, b)
    for item, words in ((a, A), (b, B)):
        top, finite, half = infinity(item.kind), largest(item.kind), 1 << (item.format.width - 1)
        infinities = [half - 1, 2 * half - 1] if top is None else [top, top | half]
        nans = [half - 1] if top is None else [top + 1, half - 1, half | (top + half) // 2, half | (top + 1)]
        chosen = np.array([*infinities, *nans, 0, half, finite], np.int64) << (bits(item.kind) - item.format.width)
        likely = 0.25 if top is not None else 0.1
        weights = np.array([likely, likely, *[0.15 / len(nans)] * len(nans), 0.1, 0.1, 0.15])
        hit = rng.random(words.shape) < 0.64 / a.shape[-1]
        words[hit] = rng.choice(chosen, hit.sum(), p=weights / weights.sum()).astype(words.dtype)
    return A, B, 1.0


def _zeros(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    A, B = sign(a.kind) * rng.integers(0, 2, a.shape), b.drawn(rng, -200, 200)
    tiny = rng.random(a.shape) < 0.05
    smallest = 2.0 ** (a.format.emin - a.format.precision + 1)
    A[tiny] = a.encode(rng.choice([smallest, -smallest, a.format.smallest_normal], tiny.sum()))
    return A.astype(storage(a.kind)), B, 0.0


def _carry(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    """The largest sums that a block can hold: significands of ones, mostly of one sign."""
    ulp = (2.0 ** (1 - item.format.precision) for item in (a, b))
    A = (2 - next(ulp)) * np.where(rng.random(a.shape) < 0.1, -1, 1)
    return a.encode(A), b.encode(2 - next(ulp) * rng.integers(1, 3, b.shape)), 3.99


def _floor(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    """A product near half the smallest result, and far smaller ones near the unit that a zero term's exponent sets."""
    few = rng.choice([0, 0, 0, 0, 0, 1, 2, 3, -1], a.shape)
    if a.wide:  # 255 * 2**-157 is one such unit short of 2**-149
        A, B = few * 2.0**-78, np.ldexp(1.0, rng.integers(-83, -76, b.shape))
        A[..., 0], B[..., 0, :] = 255 * 2.0**-80, np.ldexp(rng.choice([-1.0, 1.0], b.shape[-1]), -77)
        return a.encode(A), b.encode(B), 0.0
    smallest = [2.0 ** (item.format.emin - item.format.precision + 1) for item in (a, b)]
    A, B = few * smallest[0], smallest[1] * (2.0 ** rng.integers(0, 8, b.shape) + rng.integers(0, 2, b.shape))
    A[..., 0] = max(2.0**-13, smallest[0])
    B[..., 0, :] = max(2.0**-12, smallest[1]) * rng.choice([-1.0, 1.0], b.shape[-1])
    return a.encode(A), b.encode(B), 0.0


def _sparse(rng: np.random.Generator, a: _Factor, b: _Factor) -> Made:
    A, B, scale = _normal(rng, a, b)
    A[rng.random(a.shape) < 0.7] = 0
    return A, B, scale


_MAKERS: dict[str, Callable[[np.random.Generator, _Factor, _Factor], Made]] = {
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
    seed: int,
    shape: tuple[int, int, int],
    per_class: int,
    classes: int | None = None,
    *,
    inputs: tuple[str, str] = ("f16", "f16"),
    addends: tuple[str, ...] = ("f32", "f16"),
) -> dict[str, NDArray[Any]]:
    """Return A, B, C.f32, C.f16 of (tiles, ...) and ``coverage``, indices into `CLASSES`; or of the first classes.

    A and B have the formats `inputs`; of C there is one for each of `addends`.
    """
    m, n, k = shape
    rng = _generator(seed, shape, inputs)
    made: dict[str, list[NDArray[Any]]] = {name: [] for name in ("A", "B", *(f"C.{kind}" for kind in addends))}
    makers = list(_MAKERS.values())[:classes]
    for maker in makers:
        for _ in range(per_class):
            A, B, scale = maker(rng, _Factor(inputs[0], (m, k)), _Factor(inputs[1], (k, n)))
            made["A"].append(A)
            made["B"].append(B)
            for kind in addends:
                made[f"C.{kind}"].append(_addend(rng, kind, (m, n), scale))
    coverage = np.repeat(np.arange(len(makers), dtype=np.uint8), per_class)
    return {name: np.stack(items) for name, items in made.items()} | {"coverage": coverage}


def _generator(seed: int, shape: tuple[int, int, int], inputs: tuple[str, str]) -> np.random.Generator:
    return np.random.default_rng([seed, *shape, *(list(FORMATS).index(kind) for kind in inputs)])


def chains(
    seed: int,
    shape: tuple[int, int, int],
    longest: int,
    *,
    inputs: tuple[str, str] = ("f16", "f16"),
    addends: tuple[str, ...] = ("f32", "f16"),
) -> dict[str, NDArray[Any]]:
    """Return one tile with N(0, 1) and one with wide exponents, of K = `longest`, and the lengths K to stop at."""
    m, n, k = shape
    rng = _generator(seed, (m, n, longest), inputs)
    a, b = _Factor(inputs[0], (m, longest)), _Factor(inputs[1], (longest, n))
    normal, wide = _normal(rng, a, b), _wide(rng, a, b)
    made: dict[str, NDArray[Any]] = {"A": np.stack([normal[0], wide[0]]), "B": np.stack([normal[1], wide[1]])}
    C = rng.standard_normal((2, m, n)).astype(np.float16)
    every: dict[str, NDArray[Any]] = {"f32": C.astype(np.float32).view(np.uint32), "f16": C.view(np.uint16)}
    lengths = [1 << e for e in range(k.bit_length() - 1, longest.bit_length())]
    made |= {f"C.{kind}": every[kind] for kind in addends}
    return made | {"K": np.array(lengths, np.int32)}
