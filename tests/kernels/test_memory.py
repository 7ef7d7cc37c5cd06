"""What products take of memory beside their results."""

from __future__ import annotations

import tracemalloc

import numba
import numpy as np
import pytest

import halfsim as hs

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="measures compiled loops")


@pytest.fixture(autouse=True)
def one_thread():
    before = hs.get_num_threads()
    hs.set_num_threads(1)
    yield
    hs.set_num_threads(before)


def scratch(call):
    """Most bytes that a call takes beside its result, once it has been made before."""
    call()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        kept, peak = tracemalloc.get_traced_memory()
        size = sum(x.nbytes for x in (result if isinstance(result, tuple) else (result,)))
        assert kept - before >= size
        return peak - kept
    finally:
        tracemalloc.stop()


SUMS = (
    "h100:f32",
    "v100:f16",
    "mi250x:f32",
    "mi300x:f32",
    hs.FP16,
    hs.FP32,
    hs.Pairwise(format=hs.BINARY32),
    hs.Exact(),
)
SHARES = {
    # Factors in float32 are made patterns of as few bytes as there are, but those of TF32, which would be as many.
    **dict.fromkeys(SUMS, 0.6),
    "h100:f32:tf32": 0.3,
    "a100:f32:bf16": 0.8,
    "mi250x:f32:bf16": 0.8,
    "ada:f16:e5m2": 0.75,
}


@pytest.mark.parametrize("accumulator", SHARES, ids=str)
def test_products_take_less_memory_than_their_operands(accumulator):
    wide = isinstance(accumulator, str) and accumulator.count(":") == 2
    a = np.ones((512, 512), np.float32 if wide else np.float16)
    assert scratch(lambda: hs.matmul(a, a, accumulator=accumulator)) <= 2 * a.nbytes * SHARES[accumulator]


@pytest.mark.parametrize("accumulator", ["h100:f32", "v100:f16", hs.FP16, hs.FP32], ids=str)
def test_large_results_take_no_memory_beside_themselves(accumulator):
    a, b = np.ones((1 << 14, 4), np.float16), np.ones((4, 256), np.float16)
    assert scratch(lambda: hs.matmul(a, b, accumulator=accumulator)) < 1 << 17


def test_the_general_loop_holds_few_elements_at_a_time():
    a = np.ones((1024, 4), np.float16)
    c = np.arange(1 << 20, dtype=np.float32).reshape(1024, 1024) % 1000
    got, flags = hs.matmul.flagged(a, a.T, c, accumulator=hs.FP32)
    assert (got == c + 4).all()
    assert not flags.any()
    # Held at once, elements, sums and flags took 17 MB.
    assert scratch(lambda: hs.matmul.flagged(a, a.T, accumulator=hs.FP32)) < 1 << 20


@pytest.mark.parametrize(
    "accumulator", ["h100:f32", "h100:f16", "mi100:f32", "mi250x:f32", "mi300x:f32", hs.FP32], ids=str
)
def test_products_of_many_terms_take_bounded_memory(accumulator):
    taken = []
    for terms in (1 << 13, 1 << 15):
        a, b = np.ones((64, terms), np.float16), np.ones((terms, 64), np.float16)
        taken.append(scratch(lambda a=a, b=b: hs.matmul(a, b, accumulator=accumulator)))
    assert max(taken) < 1 << 19
    assert taken[1] < taken[0] + (1 << 12)
