"""Sums in parts are the sums at once, and take memory of a fixed size where they can rest between parts."""

from __future__ import annotations

import numba
import numpy as np
import pytest

import halfsim as hs
from halfsim import totals
from tests.kernels.test_memory import scratch

RNG = np.random.default_rng(17)
PATTERNS = RNG.integers(0, 1 << 16, (7, 40, 33), dtype=np.uint16).view(np.float16)
NUMBERS = {
    "any patterns": PATTERNS,
    "finite": np.where(np.isfinite(PATTERNS), PATTERNS, np.float16(0.1)) / np.float16(64),
    "minus zero": np.full(PATTERNS.shape, -0.0, np.float16),
}
LAYOUTS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.T,
    "middle axis first": lambda x: x.transpose(1, 0, 2),
    "every third": lambda x: x[:, ::3],
    "backward": lambda x: x[::-1],
    "flat, every second": lambda x: x.reshape(-1)[::2],
    "other byte order": lambda x: x.astype(">f2"),
}
AXES = (None, 0, -1, (0, -1), ())
RANDOM = hs.Stochastic(bits=13, seed=1, offset=5)
ACCUMULATORS = {
    str(accumulator): accumulator
    for accumulator in (
        hs.FP32,
        hs.FP16,
        hs.Sequential(format=hs.BINARY16, rounding="rdn"),
        hs.Sequential(format=hs.BINARY16, rounding=RANDOM),
        hs.Sequential(format=hs.BFLOAT16),
        hs.Sequential(format=hs.BINARY16, flush_to_zero=True),
        hs.Pairwise(format=hs.BINARY32),
        hs.Compensated(format=hs.BINARY16),
        hs.Exact(),
        "v100:f16",
        "h100:f32",
        "mi100:f32",
        "mi250x:f32",
        "mi300x:f32",
    )
}


def patterns(result):
    return [np.ascontiguousarray(part).view(np.uint8) for part in result]


@pytest.mark.parametrize("name", ACCUMULATORS)
def test_parts_add_up_to_the_product_with_ones(name, monkeypatch):
    accumulator = ACCUMULATORS[name]
    # Parts of fewer elements than some rows have.
    monkeypatch.setattr(totals, "_PIECE", 256)
    monkeypatch.setattr(totals, "_CUT", 512)
    for numbers in NUMBERS.values():
        for layout in LAYOUTS.values():
            x = layout(numbers)
            for axis in AXES if x.ndim > 1 else (None,):
                axes = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis).astype(int) % x.ndim)
                kept = [i for i in range(x.ndim) if i not in axes]
                shape = [x.shape[i] for i in kept]
                columns = x.astype(np.float16).transpose(*axes, *kept).reshape(-1, int(np.prod(shape)))
                ones = np.ones((1, len(columns)), np.float16)
                calls = (hs.matmul, hs.sum) if isinstance(accumulator, str) else (hs.matmul.flagged, hs.sum.flagged)
                want, got = calls[0](ones, columns, accumulator=accumulator), calls[1](x, axis, accumulator=accumulator)
                want, got = ((want,), (got,)) if isinstance(accumulator, str) else (want, got)
                for one, other in zip(patterns(want), patterns(got), strict=True):
                    np.testing.assert_array_equal(one.reshape(-1), other.reshape(-1))
                np.testing.assert_array_equal(
                    patterns((hs.sum(x, axis, accumulator=accumulator),))[0].reshape(-1), patterns(got)[0].reshape(-1)
                )


@pytest.mark.parametrize("layout", ["contiguous", "flat, every second", "other byte order", "transposed"])
@pytest.mark.parametrize("name", ["Sequential", "h100:f32", "v100:f16", "mi250x:f32"])
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="measures compiled loops")
def test_a_sum_of_everything_takes_memory_of_a_fixed_size(name, layout):
    accumulator = hs.FP32 if name == "Sequential" else name
    taken = []
    for rows in (512, 2048):
        x = LAYOUTS[layout](np.ones((rows, 1024), np.float16))
        taken.append(scratch(lambda x=x: hs.sum(x, accumulator=accumulator)))
    assert taken[1] < 1 << 20
    assert taken[1] < taken[0] + (1 << 12)


@pytest.mark.parametrize("name", ["Sequential", "Pairwise", "Exact", "h100:f32"])
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="measures compiled loops")
def test_sums_along_any_axis_take_less_than_a_quarter_of_a_large_operand(name):
    known = {"Sequential": hs.FP32, "Pairwise": hs.Pairwise(format=hs.BINARY32), "Exact": hs.Exact()}
    x = np.ones((64, 1024, 64), np.float16)
    for axis in (0, 1, 2):
        assert scratch(lambda axis=axis: hs.sum(x, axis, accumulator=known.get(name, name))) < x.nbytes / 4


@pytest.mark.parametrize("name", ["Sequential", "v100:f16"])
@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="measures compiled loops")
def test_a_few_long_sums_take_memory_of_a_fixed_size(name):
    x = np.ones((50, 160_000), np.float16)
    assert scratch(lambda: hs.sum(x, 1, accumulator=hs.FP32 if name == "Sequential" else name)) < 1 << 21
