"""Losses beside what they are in NumPy's words, over all patterns of binary16 and beside sums written out."""

from __future__ import annotations

import platform

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfsim.core.control import control_word
from halfsim.environment import IEEE
from halfsim.kernels import f16c
from halfsim.kernels.losses import BESIDE, WHOLE, extraordinary, losses, narrowed
from halfsim.rounding import Rounding

CONTROL = control_word(Rounding.roundTiesToEven, IEEE)
ALL = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
NORMAL16, NORMAL_BFLOAT16 = np.float32(2.0**-14), np.float32(2.0**-126)
EDGES = np.float32([0.0, 2**-149, 2**-26, 2**-25, 2**-24, 2**-15, 2**-14, 1.0, 65504, 65519, 65535, 65536, 7e4, 1e38])


def stated(exact, stored, normal=NORMAL16):
    """Return what `losses` does: whether a number is special, and how many lost each thing."""
    exact, stored = np.float32(exact), np.float32(stored)
    differs, nan, size = exact != stored, np.isnan(stored), np.abs(stored)
    # The largest number is as good as an infinity where the rounding stops there.
    beyond = np.isinf(stored) | ((size == 65504) & (np.abs(exact) >= 65536))
    lost = (
        differs & ~nan,
        differs & np.isfinite(exact) & beyond,
        differs & (size < normal),
        differs & (stored == 0),
        nan & ~np.isnan(exact),
    )
    return bool((~np.isfinite(stored)).any()), *(int(np.count_nonzero(each)) for each in lost)


def found(exact, stored, normal=NORMAL16):
    """Call the kernel."""
    narrow = np.uint16 if stored.dtype == np.float16 else np.uint32
    return losses(np.float32(exact).view(np.uint32), stored.view(narrow), normal.view(np.int32), CONTROL)


@pytest.mark.parametrize("exact", [*EDGES, *-EDGES, np.float32(np.inf), np.float32(-np.inf), np.float32(np.nan)])
def test_every_pattern_beside_one_number(exact):
    beside = np.full(ALL.size, exact)
    assert found(beside, ALL) == stated(beside, ALL)
    with np.errstate(invalid="ignore"):
        wide = ALL.astype(np.float32)
    assert found(beside, wide) == stated(beside, wide)


def test_subnormals_beside_what_normal_numbers_of_their_bits_would_be():
    """A sum of 24 bits may be that very number: no rounding of it to the subnormal one is exact."""
    stored = np.arange(1, 0x400, dtype=np.uint16)
    taken = ((stored.astype(np.int32) << 13) + (112 << 23)).view(np.float32)
    assert 1023.5 * 2.0**-24 in taken
    for exact in (taken, (stored + np.float32(0.5)) * np.float32(2.0**-24)):
        for sign in (1, -1):
            for at in range(stored.size):
                one = slice(at, at + 1)
                numbers = np.float32(sign) * exact[one], np.float16(sign) * stored[one].view(np.float16)
                assert found(*numbers) == stated(*numbers)
                assert found(*numbers)[1:4] == (1, 0, 1)


BESIDES = {
    "itself": lambda bits: bits,
    "above": lambda bits: bits + np.int32(1),
    "below": lambda bits: bits - np.int32(1),
    "zero": np.zeros_like,
}


@pytest.mark.parametrize("name", BESIDES)
def test_patterns_one_by_one(name):
    """So that no other pattern of a run decides which loop counts it."""
    with np.errstate(invalid="ignore"):
        wide = ALL.astype(np.float32)
    beside = BESIDES[name](wide.view(np.int32)).view(np.float32)
    ends = [x for n in (0, 1, 0x400, 0x7BFF, 0x7C00, 0x7FFF) for x in (n - 1, n, n + 1, n + 0x8000)]
    for at in {*range(0, ALL.size, 13), *(each % ALL.size for each in ends)}:
        one = slice(at, at + 1)
        assert found(beside[one], ALL[one]) == stated(beside[one], ALL[one]), at
        assert found(beside[one], wide[one]) == stated(beside[one], wide[one]), at
        # Of a wider format, or of none of its own.
        assert found(wide[one], beside[one]) == stated(wide[one], beside[one]), at


def numbers(seed, size, strange):
    """Return numbers of which a share is out of the ordinary, in lots, so that there are runs with and without."""
    rng = np.random.default_rng(seed)
    plain = rng.normal(size=size).astype(np.float32)
    wild = (rng.choice([-1, 1], size) * 2.0 ** rng.uniform(-30, 18, size)).astype(np.float32)
    wild[rng.random(size) < 0.05] = np.nan
    wild[rng.random(size) < 0.1] = 0
    lots = np.repeat(rng.random(-(-size // 300)) < strange, 300)[:size]
    return np.where(lots & (rng.random(size) < 0.3), wild, plain)


@given(st.integers(0, 2**32), st.sampled_from([0, 1, 511, 512, 513, 5000]), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_runs_of_ordinary_numbers_and_of_others(seed, size, strange):
    exact = numbers(seed, size, strange)
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = exact.astype(np.float16)
    for stored in (narrow, narrow.astype(np.float32), exact):
        assert found(exact, stored) == stated(exact, stored)
        exact = np.where(np.arange(size) % 5 == 0, -exact, exact)
    bfloat16 = (exact.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    assert found(exact, bfloat16, NORMAL_BFLOAT16) == stated(exact, bfloat16, NORMAL_BFLOAT16)


def product(a, b, starts, stored, marks, most):
    """Call the kernel; return what it returns, and the marks."""
    marks = marks.copy()
    patterns = (x.view(np.uint16 if x.dtype == np.float16 else np.uint32) for x in (a, b, starts))
    flat = stored.reshape(-1).view(np.uint16)
    return extraordinary(*patterns, flat, NORMAL16.view(np.int32), CONTROL, marks, most), marks


def expected(a, b, starts, stored, marks, most):
    """Say the same of whole arrays: sums in binary32, one k after the other."""
    sums = np.zeros(stored.shape, np.float32)
    if starts.size:
        sums[:] = starts.astype(np.float32)
    with np.errstate(all="ignore"):
        for k in range(a.shape[1]):
            sums += a[:, k, None].astype(np.float32) * b[k].astype(np.float32)
    size = np.abs(stored.astype(np.float32))
    strange = ~((size >= 2.0**-14) & (size < 65504)) & (marks != WHOLE)[:, None]
    after = np.where(strange.any(axis=1), np.uint8(BESIDE), marks)
    count, special = int(strange.sum()), bool((~np.isfinite(stored)).any())
    lost = stated(sums[strange], stored[strange])[1:] if count <= most else (0,) * 5
    return (count, special, *lost), after


@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 70), st.integers(1, 40), st.integers(1, 70)),
    st.sampled_from([0.0, 0.002, 0.02, 0.5]),
    st.booleans(),
    st.sampled_from([0.0, 0.2, 1.0]),
)
def test_results_out_of_the_ordinary_are_compared_with_sums(seed, shape, strange, addend, marked):
    rng = np.random.default_rng(seed)
    (rows, terms, columns), scale = shape, 2.0 ** rng.integers(-14, 12)
    a = np.float16(rng.normal(size=(rows, terms)) * scale)
    b = np.float16(rng.normal(size=(terms, columns)))
    b[rng.random(b.shape) < 0.002] = np.inf
    starts = rng.normal(size=columns if addend else 0).astype(rng.choice([np.float16, np.float32]))
    with np.errstate(over="ignore", invalid="ignore"):
        stored = (a.astype(np.float32) @ b.astype(np.float32) + (np.float32(starts) if addend else 0)).astype(
            np.float16
        )
    others = rng.integers(0, 1 << 16, stored.shape, dtype=np.uint16).view(np.float16)
    edge = rng.choice(np.float16([0.0, -0.0, 65504, -np.inf, np.nan, 2**-24, 2**-14]), stored.shape)
    stored = np.where(
        rng.random(stored.shape) < strange, np.where(rng.random(stored.shape) < 0.5, others, edge), stored
    )
    marks = np.where(rng.random(rows) < marked, np.uint8(WHOLE), np.uint8(0))
    got, after = product(a, b, starts, stored, marks, 32)
    wanted, kept = expected(a, b, starts, stored, marks, 32)
    assert got == wanted
    assert (after == kept).all()


@pytest.mark.parametrize("number", [31, 32, 33])
def test_as_many_as_it_pays_to_sum_by_themselves(number):
    a, b, stored = np.ones((4, 2), np.float16), np.ones((2, 40), np.float16), np.full((4, 40), 2, np.float16)
    stored[1, :number] = 0
    got, after = product(a, b, np.zeros(0, np.float16), stored, np.zeros(4, np.uint8), 32)
    assert got == (number, False, *((number, 0, number, number, 0) if number <= 32 else (0,) * 5))
    assert after.tolist() == [0, BESIDE, 0, 0]


def test_every_pattern_is_compared_or_ordinary():
    """All of 2**16 results of one product, of which a part is to be summed by itself, however many."""
    a, b = np.float16([[1.0]] * 256), np.float16([[2.0**-15] * 128 + [3.0] * 128])
    stored, marks, none = ALL.reshape(256, 256), np.zeros(256, np.uint8), np.zeros(0, np.float16)
    for most in (1 << 16, 32):
        got, after = product(a, b, none, stored, marks, most)
        wanted, kept = expected(a, b, none, stored, marks, most)
        assert got == wanted
        assert (after == kept).all()
    assert got[0] == 2 * (1024 + 1 + 1024)


@numba.njit
def set_state(state):
    return f16c.exchange(np.int32(state))


def rounded(numbers):
    """Call the kernel; return binary16 numbers and what it returns."""
    stored = np.empty(numbers.size, np.uint16)
    lost = narrowed(numbers.view(np.uint32), stored, CONTROL)
    return stored, lost


def in_words(numbers):
    """Say the same with NumPy's conversion, of numbers without NaNs."""
    with np.errstate(over="ignore"):
        stored = numbers.astype(np.float16)
    differs = stored.astype(np.float32) != numbers
    counts = (differs, differs & np.isinf(stored), differs & (stored == 0))
    return stored.view(np.uint16), tuple(int(np.count_nonzero(each)) for each in counts)


@pytest.mark.parametrize("low", [0, 1, 0x0FFF, 0x1000, 0x1001, 0x1FFF, 0x2FFF, 0x3000, 0x3001, 0x7FFF, 0x8000, 0xFFFF])
def test_numbers_are_rounded_and_their_losses_counted(low):
    """All upper halves of binary32 with what decides a rounding below them, and each number by itself as well."""
    numbers = ((np.arange(1 << 16, dtype=np.uint32) << np.uint32(16)) | np.uint32(low)).view(np.float32)
    numbers = numbers[~np.isnan(numbers)]
    for part in (numbers, numbers[::-1], numbers[:511], numbers[:0]):
        part = part.copy()
        stored, lost = rounded(part)
        wanted, counts = in_words(part)
        assert (stored == wanted).all()
        assert lost == counts
    for at in range(0, numbers.size, 257):
        one = numbers[at : at + 1].copy()
        assert rounded(one)[1] == in_words(one)[1], one


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets x86's control register")
def test_the_state_of_the_processor_changes_nothing():
    """Rounding upward, flush-to-zero and denormals-are-zero, as another library may leave them."""
    numbers = np.float32([*EDGES, *-EDGES, *np.random.default_rng(5).normal(size=999)])
    wanted, counts = rounded(numbers)
    before = set_state(0x1F80 | 0x4000 | 0x8000 | 0x40)
    try:
        stored, lost = rounded(numbers)
    finally:
        set_state(before)
    assert (stored == wanted).all()
    assert lost == counts == in_words(numbers)[1]


@pytest.mark.parametrize("nan", [0x7FC00000, 0x7F800001, 0xFFFFFFFF, 0xFF802000])
@pytest.mark.parametrize("at", [0, 511, 512, 1000])
def test_a_nan_is_said(nan, at):
    numbers = np.ones(1001, np.float32)
    numbers.view(np.uint32)[at] = nan
    assert rounded(numbers)[1] == (-1, -1, -1)
    numbers[at] = np.inf
    assert rounded(numbers)[1] == (0, 0, 0)
