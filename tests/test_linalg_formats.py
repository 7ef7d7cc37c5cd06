"""matmul, dot and sum with factors of other formats than binary16: shapes, layouts, special values, every element."""

from __future__ import annotations

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

import halfsim as hs
from halfsim.kernels import product
from halfsim.kernels.product import Operands
from tests.oracles import sums

E8M13 = hs.Format("E8M13", 22, 14, -126, 127)
ROWS = {
    "a100:f32:bf16": (ml_dtypes.bfloat16, sums.Unit(8, 24, -132, hs.BINARY32, "rtz", inputs=(hs.BFLOAT16,) * 2)),
    "h100:f32:tf32": (np.float32, sums.Unit(8, 25, -133, hs.BINARY32, "rtz", inputs=(hs.TF32,) * 2)),
    "h100:f32:e4m3": (
        ml_dtypes.float8_e4m3fn,
        sums.Unit(32, 13, -133, E8M13, "rtz", inputs=(hs.E4M3,) * 2, addend=hs.BINARY32),
    ),
    "ada:f16:e5m2": (ml_dtypes.float8_e5m2, sums.Unit(16, 13, -20, hs.BINARY16, "rne", inputs=(hs.E5M2,) * 2)),
}


def numbers(dtype, shape, rng):
    """N(0, 1) in a dtype, as TF32 in float32."""
    x = rng.standard_normal(shape).astype(np.float32)
    return (x.view(np.uint32) & 0xFFFFE000).view(np.float32) if dtype == np.float32 else x.astype(dtype)


def patterns(x):
    bits = np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}").astype(np.int64)
    return bits >> 13 if x.dtype == np.float32 else bits


def reference(a, b, c, unit):
    """One dot product in exact rational arithmetic, as the bits of the result's array."""
    bits = c.view(f"u{c.itemsize}")
    got = sums.block_chain(patterns(a).tolist(), patterns(b).tolist(), int(bits), unit)
    if unit.fmt != E8M13:
        return got
    return 0x7FFFFFFF if got == 0x1FFFFF else got << 10


def make(name, m, k, n, seed=0):
    dtype, unit = ROWS[name]
    rng = np.random.default_rng(seed)
    c = rng.standard_normal((m, n)).astype(np.float16 if unit.fmt == hs.BINARY16 else np.float32)
    return numbers(dtype, (m, k), rng), numbers(dtype, (k, n), rng), c, unit


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("k", [1, 3, 8, 15, 33, 50])
def test_any_number_of_products_equals_the_rational_reference(name, k):
    a, b, c, unit = make(name, 4, k, 3, k)
    d = hs.matmul(a, b, c, accumulator=name)
    assert d.dtype == c.dtype
    bits = d.view(f"u{d.itemsize}")
    for i in range(4):
        for j in range(3):
            assert bits[i, j] == reference(a[i], b[:, j], c[i, j], unit)


SHAPES = [
    *(((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4))),
    *(((5, 1, 2, 3), (4, 3, 2)), ((1, 2, 3), (6, 3, 2)), ((0, 3), (3, 4)), ((2, 3), (3, 0)), ((2, 0), (0, 4))),
    *(((0, 2, 3), (3, 4)), ((0,), (0,)), ((4, 0, 3), (4, 3, 2))),
]


@pytest.mark.parametrize(("left", "right"), SHAPES)
@pytest.mark.parametrize("name", ROWS)
def test_shapes_are_those_of_numpy(name, left, right):
    dtype, _ = ROWS[name]
    rng = np.random.default_rng(1)
    a, b = (rng.integers(-3, 4, shape).astype(dtype) for shape in (left, right))
    want = np.matmul(a.astype(np.float64), b.astype(np.float64))
    result = hs.matmul(a, b, accumulator=name)
    assert np.shape(result) == np.shape(want)
    assert np.array_equal(result, want)
    c = rng.integers(-3, 4, np.shape(want)[-1:]).astype(np.float16)
    assert np.array_equal(hs.matmul(a, b, c, accumulator=name), want + c)


@pytest.mark.parametrize("name", ROWS)
def test_a_sum_without_products_is_the_addend_in_the_format_of_the_result(name):
    dtype, unit = ROWS[name]
    empty = np.ones((1, 0), dtype)
    c = np.float32([[1 + 2.0**-23, -0.0, 2.0**-140, -np.inf, np.nan, 3]])
    d = hs.matmul(empty, np.ones((0, 6), dtype), c, accumulator=name)[0]
    one = np.float32(1 + 2.0**-23) if unit.fmt == hs.BINARY32 else 1
    tiny = 0 if unit.fmt in (E8M13, hs.BINARY16) else np.float32(2.0**-140)
    assert (d[0], d[2], d[3], d[5]) == (one, tiny, -np.inf, 3)
    assert d[1] == 0 and np.signbit(d[1])
    assert d[4:5].view(f"u{d.itemsize}") == (0x7FFF if d.itemsize == 2 else 0x7FFFFFFF)


@pytest.mark.parametrize("name", ROWS)
def test_any_memory_layout_and_batch_gives_the_same_bits(name):
    a, b, c, _ = make(name, 6, 40, 5, 2)
    want = hs.matmul(a, b, c, accumulator=name)
    wide = np.zeros((6, 80), a.dtype)
    wide[:, ::2] = a
    frozen = a.copy()
    frozen.flags.writeable = False
    before = a.tobytes(), b.tobytes(), c.tobytes()
    for other in (np.asfortranarray(a), wide[:, ::2], a[::-1][::-1], frozen, a.astype(np.float32)):
        assert hs.matmul(other, b, c, accumulator=name).tobytes() == want.tobytes()
        assert hs.matmul(b.T, other.T, c.T, accumulator=name).T.tobytes() == want.tobytes()
    stack = hs.matmul(np.stack([a, a[::-1]]), np.stack([b, b]), np.stack([c, c[::-1]]), accumulator=name)
    assert stack.tobytes() == np.stack([want, want[::-1]]).tobytes()
    broadcast = hs.matmul(a[:, None, None, :], b, c[:, None, None, :], accumulator=name)
    assert broadcast.reshape(6, 5).tobytes() == want.tobytes()
    out = np.zeros((12, 5), want.dtype)[::2]
    assert hs.matmul(a, b, c, accumulator=name, out=out) is out
    assert out.tobytes() == want.tobytes()
    assert (a.tobytes(), b.tobytes(), c.tobytes()) == before


@pytest.mark.parametrize("name", ROWS)
def test_results_do_not_depend_on_threads(name, monkeypatch):
    monkeypatch.setattr(product, "_GENERAL_WORK", 64)
    a, b, c, _ = make(name, 33, 40, 17, 3)
    before = hs.get_num_threads()
    try:
        results = set()
        for threads in (1, 2, 3):
            hs.set_num_threads(threads)
            results.add(hs.matmul(a, b, c, accumulator=name).tobytes())
    finally:
        hs.set_num_threads(before)
    assert len(results) == 1


@pytest.mark.parametrize("name", ["a100:f32:bf16", "h100:f32:tf32", "ada:f16:e5m2"])
def test_special_values_pass_from_block_to_block(name):
    dtype, unit = ROWS[name]
    length, inf, nan = unit.terms, np.inf, np.nan
    nan_bits = 0x7FFF if unit.fmt == hs.BINARY16 else 0x7FFFFFFF

    def chain(*at, c=0.0):
        """Products at given places of three blocks; the rest are 1 * 1."""
        a, b = np.ones(3 * length, np.float32), np.ones(3 * length, np.float32)
        for k, x, y in at:
            a[k], b[k] = x, y
        addend = np.float16(c) if unit.fmt == hs.BINARY16 else np.float32(c)
        d = np.atleast_1d(hs.dot(a.astype(dtype), b.astype(dtype), addend, accumulator=name))
        return int(d.view(f"u{d.itemsize}")[0]), float(d[0])

    assert chain()[1] == 3 * length
    assert chain((0, inf, 1))[1] == chain((length, inf, 2))[1] == chain(c=inf)[1] == inf
    assert chain((2 * length, inf, -1))[1] == -inf
    for case in ([(0, inf, 1), (2 * length, -inf, 1)], [(0, nan, 1)], [(0, inf, 0)], [(length, 0, -inf)]):
        assert chain(*case)[0] == nan_bits
    assert chain((length, -inf, 1), c=inf)[0] == chain(c=nan)[0] == nan_bits
    # An infinity of one block meets the finite rest, a NaN stays one.
    assert chain((0, -inf, 1), (length, 2, 3))[1] == -inf


def test_e4m3_has_one_nan_and_no_infinity():
    one = np.ones((1, 1), ml_dtypes.float8_e4m3fn)
    for bits in (0x7F, 0xFF):
        d = hs.matmul(np.array([[bits]], np.uint8).view(one.dtype), one, accumulator="h100:f32:e4m3")
        assert d.view(np.uint32)[0, 0] == 0x7FFFFFFF
    # The patterns that would be infinity and NaNs elsewhere are numbers: 256 to 448.
    for bits, value in ((0x78, 256), (0x7E, 448), (0xFC, -384)):
        assert hs.matmul(np.array([[bits]], np.uint8).view(one.dtype), one, accumulator="h100:f32:e4m3")[0, 0] == value


@pytest.mark.parametrize("name", ROWS)
def test_zeros_are_positive(name):
    dtype, _ = ROWS[name]
    for left, right, c in ((-0.0, 1, -0.0), (0, -1, -0.0), (-0.0, -0.0, 0.0)):
        d = hs.dot(np.full(40, left).astype(dtype), np.full(40, right).astype(dtype), np.float16(c), accumulator=name)
        assert d == 0 and not np.signbit(d)
    ones = np.ones(40, dtype)
    signs = (np.arange(40) % 2 * 2 - 1).astype(dtype)
    d = hs.dot(ones, signs, np.float16(-0.0), accumulator=name)
    assert d == 0 and not np.signbit(d)


@pytest.mark.parametrize("name", ["a100:f32:bf16", "h100:f32:tf32"])
def test_subnormal_factors_and_results_are_kept(name):
    tiny = np.float32([[2.0**-126 * 0.5]])  # subnormal in both formats
    one = np.float32([[1]])
    assert hs.matmul(tiny, one, accumulator=name) == tiny
    assert hs.matmul(tiny, one * 2.0**127, accumulator=name) == 1
    assert hs.matmul(tiny, one * 0.5, np.float32(2.0**-149), accumulator=name) == np.float32(2.0**-128 + 2.0**-149)
    assert hs.matmul(tiny, tiny, accumulator=name) == 0


@pytest.mark.parametrize("name", ["a100:f32:bf16", "h100:f32:tf32"])
def test_overflow_is_infinite_though_results_are_cut(name):
    big = np.float32([[2.0**127, 2.0**127]])
    assert hs.matmul(big, np.float32([[1], [1]]), accumulator=name) == np.inf
    assert hs.matmul(big, np.float32([[-1], [-1]]), accumulator=name) == -np.inf
    assert hs.matmul(big, big.T, accumulator=name) == np.inf
    # Terms are numbers of any size: 2**254 - 2**254 leaves nothing.
    assert hs.matmul(big, np.float32([[2.0**127], [-(2.0**127)]]), accumulator=name) == 0


@pytest.mark.parametrize("rounding", ["rtz", "rup"])
def test_numbers_of_tf32_are_read_where_they_lie(rounding):
    """In vectors as words of binary32, in the general loop (rounding upward) as patterns; any payload makes a NaN."""
    row = replace(hs.tensorcores.row("h100", inputs="tf32"), rounding=rounding)
    rng = np.random.default_rng(6)
    a, b = (rng.integers(0, 1 << 19, shape).astype(np.uint32) << np.uint32(13) for shape in ((30, 40), (40, 20)))
    a[3, 5], b[7, 2] = 0x7F800001, 0xFFC00001
    a[4], b[:, 3] = 0x3F800000, 0x3F800000
    before = a.tobytes(), b.tobytes()
    d = hs.matmul(a.view(np.float32), b.view(np.float32), accumulator=row)
    assert (a.tobytes(), b.tobytes()) == before
    general = product.plan(row)._replace(fast=None)
    words = Operands(a[None], b[None], np.zeros(1, np.int64), np.zeros(1, np.int64))
    patterns = words._replace(a=words.a >> np.uint32(13), b=words.b >> np.uint32(13))
    patterns.a[0, 3, 5] |= 1
    want, _ = product.evaluate(general, patterns, None, flagged=False)
    assert d.tobytes() == want.tobytes()
    assert np.isnan(d[3]).all() and np.isnan(d[:, 2]).all() and d[4, 3] == 40


@pytest.mark.parametrize("name", ROWS)
def test_sum_is_the_product_with_ones(name):
    dtype, _ = ROWS[name]
    x = numbers(dtype, (7, 50), np.random.default_rng(5))
    ones = np.ones(50, dtype)
    assert hs.sum(x, axis=1, accumulator=name).tobytes() == hs.dot(x, ones, accumulator=name).tobytes()
    assert hs.sum(x.T, axis=0, keepdims=True, accumulator=name).shape == (1, 7)


def test_sum_takes_the_second_format_of_a_mixed_row():
    row = replace(hs.tensorcores.row("h100", inputs="e4m3"), inputs=(hs.E4M3, hs.E5M2))
    assert hs.sum(np.float32([57344, -57344, 8]), accumulator=row) == 8
    with pytest.raises(ValueError, match=r"sum: operand x holds 1.125 at .*no E5M2 number"):
        hs.sum(np.float32([1.125]), accumulator=row)


def test_flags_are_refused_for_other_formats_too():
    ones = np.ones((2, 2), ml_dtypes.bfloat16)
    with pytest.raises(ValueError, match=r"matmul.flagged: .* has no flags"):
        hs.matmul.flagged(ones, ones, accumulator="h100:f32:bf16")
