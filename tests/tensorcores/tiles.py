"""Operands that put a model of a matrix unit to the test, as patterns of any format of factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

import halfsim as hs

__all__ = ["KINDS", "Tile", "held", "tile"]

DTYPES = {
    hs.BINARY16: np.dtype(np.float16),
    hs.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
    hs.E5M2: np.dtype(ml_dtypes.float8_e5m2),
    hs.E4M3: np.dtype(ml_dtypes.float8_e4m3fn),
}
ADDENDS = {"f32": np.float32, "f16": np.float16}
Words = Any


@dataclass(frozen=True)
class Tile:
    """Patterns of A (M, K) and B (K, N), and C (M, N)."""

    inputs: tuple[hs.Format, hs.Format]
    a: Words
    b: Words
    c: Any


def held(words: Words, fmt: hs.Format) -> Any:
    """The numbers of patterns: in the format's own dtype, TF32 in float32."""
    if fmt == hs.TF32:
        return (words.astype(np.uint32) << 13).view(np.float32)
    return words.astype(f"u{fmt.width // 8}").view(DTYPES[fmt])


def _encode(values: Any, fmt: hs.Format) -> Words:
    """Patterns of numbers: rounded to nearest, TF32 cut."""
    if fmt == hs.TF32:
        return (values.astype(np.float32).view(np.uint32) >> 13).astype(np.int64)
    return values.astype(np.float32).astype(DTYPES[fmt]).view(f"u{fmt.width // 8}").astype(np.int64)


class _Maker:
    """Draws patterns of one pair of formats; every kind of tile is a method that gives A, B and C."""

    def __init__(self, inputs: tuple[hs.Format, hs.Format], output: str, rng: Any, m: int, k: int, n: int) -> None:
        self.inputs, self.output, self.rng = inputs, output, rng
        self.shapes = (m, k), (k, n), (m, n)
        self.wide = min(fmt.emax for fmt in inputs) > 100

    def words(self, side: int, low: int, high: int, shape: tuple[int, ...] | None = None) -> Words:
        """Patterns from `low` to below `high`, of either sign."""
        shape = self.shapes[side] if shape is None else shape
        return self.rng.integers(low, high, shape) | self.rng.integers(0, 2, shape) << (self.inputs[side].width - 1)

    def finite(self, side: int) -> int:
        fmt = self.inputs[side]
        return (1 << (fmt.width - 1)) - (1 << (fmt.precision - 1) if fmt.specials == hs.Specials.ieee else 1)

    def near(self, side: int, low: int, high: int) -> Words:
        """Numbers from 2**low to 2**high, within the format's range; below it, subnormal ones."""
        fmt = self.inputs[side]
        first, last = (max(e + fmt.bias, 0) << (fmt.precision - 1) for e in (low, high))
        return self.words(side, first, max(min(last, self.finite(side)), first + 1))

    def powers(self, side: int, exponents: Any) -> Words:
        fmt = self.inputs[side]
        lowest = fmt.emin - fmt.precision + 1
        sign = self.rng.integers(0, 2, exponents.shape) << (fmt.width - 1)
        return _encode(np.ldexp(1.0, np.clip(exponents, lowest, fmt.emax)), fmt) | sign

    def addend(self, values: Any) -> Any:
        return np.clip(values, -6e4, 6e4).astype(ADDENDS[self.output])

    def gauss(self, side: int) -> Any:
        return self.rng.standard_normal(self.shapes[side])

    def normal(self) -> tuple[Words, Words, Any]:
        a, b = (_encode(self.gauss(side), self.inputs[side]) for side in (0, 1))
        return a, b, self.addend(self.gauss(2))

    def bits(self) -> tuple[Words, Words, Any]:
        a, b = (self.words(side, 0, self.finite(side)) for side in (0, 1))
        return a, b, self.addend(self.gauss(2))

    def aligned(self) -> tuple[Words, Words, Any]:
        a, b = (self.near(side, -5, 6) for side in (0, 1))
        return a, b, self.addend(np.ldexp(self.gauss(2), self.rng.integers(-8, 9, self.shapes[2])))

    def cancelling(self) -> tuple[Words, Words, Any]:
        a, b, c = self.normal()
        a[:, 1::2] = a[:, ::2] ^ 1 << (self.inputs[0].width - 1)
        b[1::2] = b[::2]
        b[1::2, ::3] -= (b[1::2, ::3] & ((1 << (self.inputs[1].width - 1)) - 1)) != 0
        return a, b, c

    def subnormal(self) -> tuple[Words, Words, Any]:
        a = self.words(0, 0, 4 << (self.inputs[0].precision - 1))
        b = self.near(1, 90, 127) if self.wide else self.words(1, 0, 4 << (self.inputs[1].precision - 1))
        c = np.ldexp(self.gauss(2), -15) * (self.rng.random(self.shapes[2]) < 0.5)
        return a, b, self.addend(c)

    def tiny(self) -> tuple[Words, Words, Any]:
        """Sums about the smallest numbers of the result; two products settle which are kept."""
        low = -75 if self.wide else -12
        a, b = (self.near(side, low, low + 6) for side in (0, 1))
        alone = self.rng.random(len(a)) < 0.7
        a[alone, 2:] = 0
        # The smallest number of binary32, or half that of binary16, and a little more; beside it what is near the cut.
        first, last = (-75, -81) if self.wide else (-13, -24)
        a[:, 0] = self.powers(0, np.full(len(a), first))
        columns = np.arange(b.shape[1])
        b[0] = self.powers(1, np.full(len(columns), -74 if self.wide else -12)) + columns // 8 % 2
        a[:, 1] = self.powers(0, np.full(len(a), last))
        b[1] = self.powers(1, last + columns % 8)
        bits = self.rng.integers(0, 1 << 10, self.shapes[2]) * (self.rng.random(self.shapes[2]) < 0.3)
        width = 32 if self.output == "f32" else 16
        return a, b, bits.astype(f"u{width // 8}").view(ADDENDS[self.output])

    def tied(self) -> tuple[Words, Words, Any]:
        a, b = (self.powers(side, self.rng.integers(-12, 3, self.shapes[side])) for side in (0, 1))
        a[self.rng.random(a.shape) < 1 / 3] = 0
        return a, b, self.addend(np.ldexp(1.0, self.rng.integers(-20, 8, self.shapes[2])))

    def sticky(self) -> tuple[Words, Words, Any]:
        """A tie of binary16, its lower neighbour even or odd, that the cut of a tiny product decides."""
        a, b = np.zeros(self.shapes[0], np.int64), np.zeros(self.shapes[1], np.int64)
        a[:, 0], b[0] = self.powers(0, np.full(len(a), -5)), self.powers(1, np.full(b.shape[1], -6))
        a[:, 1] = self.powers(0, self.rng.integers(-9, -3, len(a)))
        b[1] = self.powers(1, self.rng.integers(-9, -3, b.shape[1]))
        a[:, 2], b[2] = self.near(0, -15, -8)[:, 2], self.near(1, -12, -6)[2]
        return a, b, self.addend(1 + self.rng.integers(0, 2, self.shapes[2]) * 2.0**-10)

    def decided(self) -> tuple[Words, Words, Any]:
        """The same without C: the tie is a product."""
        a, b, c = self.sticky()
        a[:, 3], b[3] = (
            _encode(1 + self.rng.integers(0, 2, len(a)) * 2.0**-10, self.inputs[0]),
            self.powers(1, np.zeros(b.shape[1], np.int64)),
        )
        return a, b, np.zeros_like(c)

    def large(self) -> tuple[Words, Words, Any]:
        if self.wide:
            a, b = (self.near(side, 59, 66) for side in (0, 1))
            return a, b, self.words(0, 0x7E000000, 0x7F800000, self.shapes[2]).astype(np.uint32).view(np.float32)
        a, b = (self.near(side, high - 4, high + 1) for side, high in ((0, self.inputs[0].emax), (1, 6)))
        return a, b, self.addend(self.gauss(2) * 60000)

    def huge(self) -> tuple[Words, Words, Any]:
        """Products beyond binary32, many of which cancel."""
        a, b, c = self.large()
        top = self.inputs[0].emax
        a, b = self.near(0, top - 9, top + 1), self.near(1, top - 9 if self.wide else 6, top + 1)
        a[:, 1::2] = a[:, ::2] ^ 1 << (self.inputs[0].width - 1)
        b[1::2, ::2] = b[::2, ::2]
        return a, b, c

    def buried(self) -> tuple[Words, Words, Any]:
        """Two large products cancel; what is left of the small ones is what the cut kept."""
        tops = [min(fmt.emax, 60) for fmt in self.inputs]
        a, b = (self.near(side, tops[side] - 15, tops[side] - 5) for side in (0, 1))
        a[:, 0], b[0] = self.near(0, tops[0] - 2, tops[0])[:, 0], self.near(1, tops[1] - 2, tops[1])[0]
        a[:, 1], b[1] = a[:, 0] ^ 1 << (self.inputs[0].width - 1), b[0]
        return a, b, self.addend(self.gauss(2) * (self.rng.random(self.shapes[2]) < 0.5))

    def special(self) -> tuple[Words, Words, Any]:
        a, b, c = self.normal()
        for side, words in enumerate((a, b)):
            fmt = self.inputs[side]
            sign, top = 1 << (fmt.width - 1), (1 << (fmt.width - 1)) - 1
            infinite = [self.finite(side), self.finite(side) | sign] if fmt.specials == hs.Specials.ieee else []
            mask = self.rng.random(words.shape) < 0.02
            words[mask] = self.rng.choice([0, sign, top, top | sign, *infinite, *infinite], mask.sum())
        mask = self.rng.random(c.shape) < 0.1
        c[mask] = self.rng.choice([np.inf, -np.inf, np.nan, -0.0], mask.sum())
        return a, b, c

    def any_addend(self) -> tuple[Words, Words, Any]:
        a, b, _ = self.normal()
        width = 32 if self.output == "f32" else 16
        c = self.rng.integers(0, 1 << width, self.shapes[2]).astype(f"u{width // 8}").view(ADDENDS[self.output])
        return a, b, c

    def alone(self) -> tuple[Words, Words, Any]:
        """All products zero, of either sign: C passes, cut to the format of the result."""
        a, b, c = self.any_addend()
        a &= 1 << (self.inputs[0].width - 1)
        bits = c.view(f"u{c.itemsize}")
        small = self.rng.random(bits.shape) < 0.5
        bits[small] &= (1 << 8 * bits.itemsize - 1) | (0x1FFFFFF if self.output == "f32" else 0xFFF)
        return a, b, c


KINDS = (
    *("normal", "bits", "aligned", "cancelling", "subnormal", "tiny", "tied", "sticky", "decided"),
    *("large", "huge", "buried", "special", "any_addend", "alone"),
)


def tile(
    kind: str, inputs: tuple[hs.Format, hs.Format], output: str, seed: int, m: int = 20, k: int = 32, n: int = 20
) -> Tile:
    """Operands of one kind, the same for the same seed."""
    maker = _Maker(inputs, output, np.random.default_rng([seed, KINDS.index(kind)]), m, k, n)
    return Tile(inputs, *getattr(maker, kind)())
