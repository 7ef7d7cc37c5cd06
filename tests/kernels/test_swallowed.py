"""Swallowed additions against a loop of the public operations, one step or one block at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import halfsim as hs
from halfsim.accumulators import Accumulator
from halfsim.kernels.swallowed import swallowed, swallowed32
from halfsim.tensorcores import as_accumulator

ROWS = {
    "FP16": (hs.FP16, 1),
    "unfused": (hs.Sequential(format=hs.BINARY16), 1),
    **{
        f"{mode} {fused} {flush}": (
            hs.Sequential(format=hs.BINARY16, rounding=mode, fused=fused, flush_to_zero=flush),
            1,
        )
        for mode in hs.Rounding
        for fused in (False, True)
        for flush in (
            (False, True) if mode in (hs.Rounding.roundTiesToEven, hs.Rounding.roundTowardNegative) else (False,)
        )
    },
    "binary32 toward zero": (hs.Sequential(format=hs.BINARY32, rounding="rtz"), 1),
    "binary32 fused": (hs.Sequential(format=hs.BINARY32, fused=True), 1),
    "FP32": (hs.FP32, 1),
    "v100:f16": (as_accumulator("v100:f16"), 4),
    "a100:f32": (as_accumulator("a100:f32"), 8),
    "h100:f16": (as_accumulator("h100:f16"), 16),
    **{name: (as_accumulator(name), as_accumulator(name).terms) for name in ("cdna1:f32", "cdna2:f32", "mi300x:f32")},
}


def expected(row: Accumulator, length: int, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> tuple[int, int]:
    lost = total = 0
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            partial = c[i, j]
            for k in range(0, a.shape[1], length):
                x, y = a[i : i + 1, k : k + length], b[k : k + length, j : j + 1]
                after = hs.matmul(x, y, np.array([[partial]], partial.dtype), accumulator=row)[0, 0]
                if np.isfinite(partial) and ((x.T != 0) & (y != 0)).any():
                    total += 1
                    lost += int(after == partial and np.signbit(after) == np.signbit(partial))
                partial = after
    return lost, total


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("terms", [1, 37])
def test_additions_that_change_nothing_are_counted(name: str, terms: int) -> None:
    row, length = ROWS[name]
    random = np.random.default_rng(terms)
    a = (random.normal(0, 1, (3, terms)) * 2.0 ** random.integers(-9, 9, (3, terms))).astype(np.float16)
    b = (random.normal(0, 1, (terms, 4)) * 2.0 ** random.integers(-4, 4, (terms, 4))).astype(np.float16)
    a[random.random(a.shape) < 0.2] = 0
    dtype = hs.matmul(a, b, accumulator=row).dtype
    c = random.normal(0, 100, (3, 4)).astype(dtype)
    c[0, 0] = np.inf
    patterns = c.view(np.uint16 if dtype == np.float16 else np.uint32).astype(np.int64).reshape(-1)
    elements = np.arange(12)
    x, y = a[elements // 4].view(np.uint16), b.T[elements % 4].view(np.uint16)
    source = hs.BINARY16 if dtype == np.float16 else hs.BINARY32
    found = swallowed(row, x, y, patterns, elements, source)
    assert found == expected(row, length, a, b, c)
    some = np.array([1, 6, 7])
    assert swallowed(row, x[some], y[some], patterns[some], some, source)[1] <= found[1]


PREFIXES = {
    "TF32": (hs.Sequential(format=hs.TF32), 1),
    "bfloat16, unfused": (hs.Sequential(format=hs.BFLOAT16, fused=False), 1),
    "binary16, upward": (hs.Sequential(format=hs.BINARY16, rounding="rup"), 1),
    "stochastic binary16": (hs.Sequential(format=hs.BINARY16, rounding=hs.Stochastic(bits=5, seed=3)), 1),
    "stochastic TF32, unfused": (
        hs.Sequential(format=hs.TF32, fused=False, rounding=hs.Stochastic(bits=5, seed=3)),
        1,
    ),
    "unit": (hs.FusedDotAdd(terms=4, fraction_bits=12, zero_exponent=-132, output=hs.BFLOAT16), 4),
    "stochastic unit": (
        hs.FusedDotAdd(
            terms=4, fraction_bits=20, zero_exponent=-132, output=hs.BINARY16, rounding=hs.Stochastic(bits=8, seed=5)
        ),
        4,
    ),
    "stochastic unit, binary32": (
        hs.FusedDotAdd(
            terms=1, fraction_bits=30, zero_exponent=-132, output=hs.BINARY32, rounding=hs.Stochastic(bits=4, seed=5)
        ),
        1,
    ),
}


@pytest.mark.parametrize("name", PREFIXES)
@pytest.mark.parametrize("source", [hs.BINARY16, hs.BINARY32], ids=str)
def test_watched_sums_are_those_of_the_product(name: str, source: hs.Format) -> None:
    """Partial sums are the products of the first terms alone: of whole matrices, so that words and C are theirs."""
    row, length = PREFIXES[name]
    random = np.random.default_rng(7)
    a, b = (random.normal(0, 1, shape).astype(np.float16) for shape in ((3, 37), (37, 5)))
    c = (100 * random.normal(0, 1, (3, 5))).astype(np.float16 if source == hs.BINARY16 else np.float32)
    ends = [*range(0, 37, length), 37]
    partial = [hs.matmul(a[:, :k], b[:k], c, accumulator=row) for k in ends]
    elements = np.array([2, 7, 14])
    rows, columns = elements // 5, elements % 5
    lost = sum(int((p[rows, columns] == q[rows, columns]).sum()) for p, q in itertools.pairwise(partial))
    patterns = c[rows, columns].view(np.uint16 if source == hs.BINARY16 else np.uint32).astype(np.int64)
    x, y = a[rows].view(np.uint16), np.ascontiguousarray(b.T[columns]).view(np.uint16)
    assert swallowed(row, x, y, patterns, elements, source) == (lost, 3 * (len(ends) - 1))


def test_a_sum_of_ones_swallows_all_after_2048() -> None:
    a = b = np.ones((1, 4096), np.float16)
    zero = np.zeros(1, np.int64)
    assert swallowed(hs.FP16, a.view(np.uint16), b.view(np.uint16), zero, zero, hs.BINARY32) == (2048, 4096)
    assert swallowed(hs.FP32, a.view(np.uint16), b.view(np.uint16), zero, zero, hs.BINARY32) == (0, 4096)


@pytest.mark.parametrize("row", [hs.Pairwise(), hs.Compensated(), hs.Exact()], ids=lambda row: type(row).__name__)
def test_sums_without_partial_sums_are_not_counted(row: Accumulator) -> None:
    a = np.ones((1, 4), np.uint16)
    assert swallowed(row, a, a, np.zeros(1, np.int64), np.zeros(1, np.int64), hs.BINARY32) == (0, 0)


def test_binary32_sums() -> None:
    a, b = np.ones((1, 11), np.float32), np.array([[2**24, *[1] * 9, 0]], np.float32)
    assert swallowed32(a, b, np.zeros(1, np.float32)) == (9, 10)
    a, b = np.array([[1e-30, 0, 1, np.inf, 1]], np.float32), np.array([[1e-30, np.inf, 3, 1, 1]], np.float32)
    # A product that underflows to zero, zero times infinity, a sum, an infinite one, and one that is infinite already.
    assert swallowed32(a[:, 2:], b[:, 2:], np.zeros(1, np.float32)) == (0, 2)
    assert swallowed32(a[:, :1], b[:, :1], np.zeros(1, np.float32)) == (0, 0)
    assert swallowed32(a[:, :2], b[:, :2], np.zeros(1, np.float32)) == (0, 0)
