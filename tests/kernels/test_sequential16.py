"""Binary16 sums in vectors that meet infinities and NaNs or overflow: the bits of the general loop and of fractions."""

from __future__ import annotations

import itertools

import numba
import numpy as np
import pytest

import halfsim as hs
from halfsim.kernels import product, sequential16
from halfsim.kernels.product import Operands
from tests.kernels.test_gemm import addends, operands
from tests.oracles.corners import NANS
from tests.oracles.sums import Draws, sequential

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="vectors exist only as machine code")

MODES = ("rne", "rna", "rtz", "rup", "rdn", "odd")
SUMS = list(itertools.product(MODES, (True, False)))
INFINITY, NEGATIVE = 0x7C00, 0xFC00


def plan(mode, fused, flush=False):
    """The plan with these vectors, also where a processor computes with binary16 itself."""
    accumulator = hs.Sequential(format=hs.BINARY16, rounding=mode, fused=fused, flush_to_zero=flush)
    name = ("fused" if fused else "unfused") + ("_nearest" if mode == "rne" and not flush else "")
    return product.plan(accumulator)._replace(fast=getattr(sequential16, name))


def compute(chosen, a, b, c):
    """Patterns of one product, as c has them."""
    one = np.zeros(1, np.int64)
    c = np.ascontiguousarray(c)
    d, _ = product.evaluate(chosen, Operands(a[None], b[None], one, one), c.view(np.float16).copy(), flagged=False)
    return d.reshape(c.shape).view(np.uint16)


def agree(mode, fused, a, b, c, flush=False):
    """Compare with the general loop."""
    chosen = plan(mode, fused, flush)
    np.testing.assert_array_equal(compute(chosen, a, b, c), compute(chosen._replace(fast=None), a, b, c))


def scaled(words, factor):
    return (words.view(np.float16) * np.float16(factor)).view(np.uint16)


def few(a, b, c, rng):
    """A few infinities in a row of B, of both signs."""
    b[b.shape[0] // 2, rng.choice(b.shape[1], 4)] = [INFINITY, NEGATIVE, INFINITY, INFINITY]


def whole(a, b, c, rng):
    """The first row of B infinite, which a row of A with a zero there makes NaNs."""
    b[0] = INFINITY
    a[-1, 0] = 0x8000


def opposite(a, b, c, rng):
    """Infinities and then others, half of them of the other sign."""
    b[0], b[-1] = INFINITY, rng.choice([INFINITY, NEGATIVE], b.shape[1])
    b[1, rng.random(b.shape[1]) < 0.3] = NEGATIVE


def nans(a, b, c, rng):
    """NaNs, signalling ones and all payloads too, in B and C, and between them an infinity in A."""
    b[3], b[5] = np.resize(NANS, b.shape[1]), rng.permutation(np.resize(b[5], b.shape[1]))
    b[3, ::3] = 0x3C00
    c[:, ::7] = 0x7D01
    a[0, -1] = NEGATIVE


def zeros(a, b, c, rng):
    """Sums that are zero or subnormal beside infinite ones: half of the columns, and most of A, are zeros or tiny."""
    a[:] = np.where(rng.random(a.shape) < 0.7, rng.choice([0, 0x8000], a.shape), a & 0x83FF)
    a[:, 4] |= 0x3C00
    b[:, ::2] = np.where(rng.random(b[:, ::2].shape) < 0.5, 0x8000, b[:, ::2])
    b[4, 1::2] = rng.choice([INFINITY, NEGATIVE], b[4, 1::2].shape)


def overflowing(a, b, c, rng):
    """Sums that overflow one after the other, and where the limit is finite come back."""
    a[:], b[:] = scaled(a, 64), scaled(b, 64)


def rising(a, b, c, rng):
    """Sums that all overflow the same way, and meet a row of the other infinity."""
    a[:], b[:] = scaled(a, 64) & 0x7FFF, scaled(b, 64) & 0x7FFF
    b[:, ::2] |= 0x8000
    b[-1, ::5] = NEGATIVE


def wild(a, b, c, rng):
    """All finite patterns: single products overflow."""
    a[:], b[:] = (rng.integers(0, 0x7C00, x.shape) | rng.integers(0, 2, x.shape) << 15 for x in (a, b))
    b[b.shape[0] // 3, ::9] = INFINITY


def beside(a, b, c, rng):
    """Sums about the largest number, of either sign, that small products lead over it or not."""
    a[:], b[:] = scaled(a, 4), scaled(b, 2)
    c[:] = 0x7BFD + rng.integers(0, 3, c.shape) + (rng.integers(0, 2, c.shape) << 15)


CASES = (few, whole, opposite, nans, zeros, overflowing, rising, wild, beside)


def case(make, rows, terms, columns):
    rng = np.random.default_rng([rows, CASES.index(make)])
    a, b = operands("normal", rows, terms, columns, 3)
    c = addends(hs.BINARY16, rows, columns, 4).view(np.uint16).copy()
    c[0] = 0
    make(a, b, c, rng)
    return a, b, c


@pytest.mark.parametrize("flush", [False, True], ids=["kept", "flushed"])
@pytest.mark.parametrize(("mode", "fused"), SUMS)
def test_sums_are_those_of_the_general_loop(mode, fused, flush):
    """More terms than are packed at a time, groups that are not full, an odd row, and columns that fill no vector."""
    for make in CASES:
        agree(mode, fused, *case(make, 5, 301, 53), flush=flush)


@pytest.mark.parametrize(("mode", "fused"), SUMS)
def test_sums_are_those_of_fractions(mode, fused):
    for make in CASES:
        a, b, c = case(make, 2, 19, 21)
        got = compute(plan(mode, fused), a, b, c)
        for i, j in np.ndindex(c.shape):
            draws, x, y = Draws(mode), a[i].tolist(), b[:, j].tolist()
            want, _ = sequential(x, y, int(c[i, j]), hs.BINARY16, hs.BINARY16, draws, fused=fused)
            assert got[i, j] == want, (make.__name__, i, j)


@pytest.mark.parametrize(("mode", "fused"), SUMS)
def test_every_addend_beside_an_infinity(mode, fused):
    """All patterns plus products of every size, an infinity in each vector: all are tried specially."""
    x = np.array([1, 0x8001, 0x2C00, 0x4800, 0xC800, 0x4BFF, 0x4C00, 0xCC00, 0x4FFF, 0x7BFF, 0xFBFF, 0x8000, 0xFC00])
    # Fifteen patterns and an infinity are a vector.
    every = np.resize(np.arange(1 << 16), (4370, 15))
    c = np.concatenate([every, np.full((4370, 1), INFINITY)], axis=1).astype(np.uint16).reshape(1, -1)
    for y in (0x3C00, 0x1400, 0x7BFF):
        b = np.full((1, c.size), y, np.uint16)
        agree(mode, fused, x.astype(np.uint16)[:, None], b, np.repeat(c, x.size, axis=0))


@pytest.mark.parametrize("mode", MODES)
def test_sums_that_round_up_to_the_smallest_normal_number(mode):
    """Just below it the bits that a trial cuts are not those of a subnormal number, but the result is the same."""
    parts = np.array([0x0400, 0x8400, 0x03FF, 0x83FF, 0x0401, 0x0001], np.uint16)
    steps = np.array([0x0001, 0x8001, 0x0003, 0x0800, 0x8C00, 0x0FFF, 0x9001], np.uint16)
    factors = np.array([0x1001, 0x13FF, 0x2FFF, 0x3800, 0x3BFF], np.uint16)
    c, b = (np.tile(z.ravel(), 3) for z in np.meshgrid(parts, factors))
    for flush in (False, True):
        agree(mode, True, steps[:, None], b[None], np.repeat(c[None], steps.size, axis=0), flush=flush)


def test_cases_are_what_they_say():
    """Every case gives infinities or NaNs, and most finite sums too; the limits of directions are met."""
    for make in CASES:
        got = compute(plan("rne", True), *case(make, 5, 301, 53))
        assert ((got & 0x7C00) == 0x7C00).any(), make.__name__
    for mode, limits in {"rtz": (0x7BFF, 0xFBFF), "rup": (0x7C00, 0xFBFF), "rdn": (0x7BFF, 0xFC00)}.items():
        a, b, c = case(rising, 5, 100, 53)
        got = compute(plan(mode, True), a[:, :-1], b[:-1], c * 0)
        assert (got[:, 1::2] == limits[0]).all() and (got[:, ::2] == limits[1]).all()


@pytest.mark.parametrize(("mode", "fused"), SUMS)
def test_sums_a_little_too_large_come_back_from_no_infinity(mode, fused):
    """No sum reaches 65536, which all trials would notice, and the next term leads back."""
    for sign, step in itertools.product((1, -1), (8, 15.99, 16, 20, 31.97)):
        b = np.repeat(np.float16([[sign * step], [-64 * sign]]), 32, axis=1)
        c = np.full((2, 32), sign * 65504, np.float16)
        agree(mode, fused, np.full((2, 2), 0x3C00, np.uint16), b.view(np.uint16), c.view(np.uint16))


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_every_number_times_some_rounded_and_then_added(mode, flush):
    rng = np.random.default_rng(16)
    every = np.arange(65536, dtype=np.uint16)[:, None]
    edges = [0x0001, 0x03FF, 0x0400, 0x3BFF, 0x3C00, 0x3C01, 0x7BFF, 0x8000, 0xBC00, 0xFC00]
    row = np.concatenate([np.uint16(edges), rng.integers(0, 65536, 22, dtype=np.uint16)])[None]
    for c in (rng.integers(0, 65536, (65536, 32), dtype=np.uint16), rng.choice(row[0], (65536, 32))):
        agree(mode, False, every, row, c, flush)
