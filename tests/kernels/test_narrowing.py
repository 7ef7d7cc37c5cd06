"""Conversions in 32-bit lanes give the values and flags of the core; so do those of bfloat16 and of 8-bit formats."""

from __future__ import annotations

import itertools
import platform
import re
from dataclasses import replace
from functools import lru_cache

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import halfsim as hs
from halfsim.core.control import Bit, control_word, has
from halfsim.formats import Specials
from halfsim.kernels import conversion, host, narrowing, narrowing_rule
from tests.checking import STEPS
from tests.kernels.test_fast import assembly_of, set_state

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="fast loops exist only as machine code")

TARGETS = {
    fmt.name: fmt
    for fmt in (
        *(hs.BFLOAT16, hs.TF32, hs.E5M2, hs.E4M3),
        hs.Format("none", 6, 3, -2, 4, Specials.none),
        hs.Format("half as far as binary32", 15, 8, -126, 0, Specials.nan_only),
        hs.Format("nearly as far as binary32", 20, 13, -62, 63, Specials.ieee),
        hs.Format("small", 12, 5, -103, 22, Specials.ieee),
        hs.Format("twenty-two bits", 27, 22, -14, 15, Specials.ieee),
        hs.Format("far above one", 3, 2, 46, 46, Specials.nan_only),
    )
}
FLUSHING = list(itertools.product(hs.Tininess, (False, True), (False, True)))
ENVIRONMENTS = [
    *(replace(hs.IEEE, tininess=t, flush_inputs=i, flush_results=r) for t, i, r in FLUSHING),
    *(hs.ARM, hs.ARM_DEFAULT_NAN, hs.RISCV, hs.X86, hs.CUDA),
]
SOURCES = {np.dtype(np.float32): hs.BINARY32, np.dtype(np.float64): hs.BINARY64, np.dtype(np.float16): hs.BINARY16}


@lru_cache(maxsize=1)
def boundaries():
    """Patterns of either sign and every exponent, about every place at which a significand may be cut."""
    rng = np.random.default_rng(1)
    fractions = set()
    for cut in range(1, 24):
        half = 1 << (cut - 1)
        for kept in (0, 1, 2, (1 << (23 - cut)) - 1, int(rng.integers(1 << (23 - cut)))):
            fractions.update(((kept << cut) + low) & 0x7FFFFF for low in (0, 1, half - 1, half, half + 1, 2 * half - 1))
    exponents = np.arange(256, dtype=np.uint32)[:, None] << np.uint32(23)
    magnitudes = (exponents | np.array(sorted(fractions), np.uint32)).ravel()
    return np.concatenate([magnitudes, magnitudes | np.uint32(1 << 31)])


def wanted(x, target, rounding, environment, saturate=False):
    """Patterns of what the core says, and flags."""
    control = control_word(rounding, environment, saturate=saturate)
    source = SOURCES[x.dtype]
    words = x.view(conversion.words(source.width))
    return conversion.general(host, words, source, False, target, (control, 0, 0))


def same(x, target, rounding, environment, saturate=False):
    want, raised = wanted(x, target, rounding, environment, saturate)
    how = {"rounding": rounding, "environment": environment, "saturate": saturate}
    got = hs.convert(x, target, **how).view(want.dtype)
    wrong = np.flatnonzero(got != want)
    assert not wrong.size, (x[wrong[0]].hex(), hex(got[wrong[0]]), hex(want[wrong[0]]), how)
    got, flags = hs.convert.flagged(x, target, **how)
    wrong = np.flatnonzero((got.view(want.dtype) != want) | (flags != raised))
    assert not wrong.size, (x[wrong[0]].hex(), got[wrong[0]], flags[wrong[0]], raised[wrong[0]], how)


@STEPS
@pytest.mark.parametrize("rounding", hs.Rounding)
@pytest.mark.parametrize("name", TARGETS)
def test_every_exponent_and_environment(name, rounding, step):
    target, every = TARGETS[name], boundaries().view(np.float32)
    for place, environment in enumerate(ENVIRONMENTS):
        x = every[place % step :: step]
        for saturate in (False, True) if target.specials != Specials.ieee else (False,):
            control = control_word(rounding, environment, saturate=saturate)
            assert narrowing_rule.takes(target, control)
            same(x, target, rounding, environment, saturate)


@STEPS
@pytest.mark.parametrize("rounding", hs.Rounding)
@pytest.mark.parametrize("name", TARGETS)
def test_binary64_is_rounded_once(name, rounding, step):
    """Numbers of binary32 and their neighbours in binary64, those that only binary64 has, and its NaNs."""
    rng = np.random.default_rng(2)
    anywhere = rng.integers(-(2**63), 2**63, 20_000).view(np.float64)
    with np.errstate(all="ignore"):
        near = boundaries()[::7].view(np.float32).astype(np.float64)
        columns = (near, np.nextafter(near, np.inf), np.nextafter(near, -np.inf), anywhere, anywhere * 2.0**-1000)
    x = np.concatenate(columns)
    for place, environment in enumerate((*ENVIRONMENTS[:8], hs.CUDA)):
        same(x[place % step :: step], TARGETS[name], rounding, environment, saturate=True)


@given(
    bits=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40),
    name=st.sampled_from(sorted(TARGETS)),
    rounding=st.sampled_from(list(hs.Rounding)),
    environment=st.sampled_from(ENVIRONMENTS),
    wide=st.booleans(),
)
def test_any_pattern(bits, name, rounding, environment, wide):
    words = np.array(bits, np.uint32)
    x = np.concatenate([words, words]).view(np.float64) if wide else words.view(np.float32)
    same(x, TARGETS[name], rounding, environment)


@pytest.mark.parametrize("size", [0, 1, 3, 7, 8, 9, 31, 33, 70_001])
def test_every_tail(size):
    x = np.resize(boundaries()[::-5], size + 4).view(np.float32)
    for target in TARGETS.values():
        for kind in (np.float32, np.float64):
            with np.errstate(invalid="ignore"):
                operand = x[3:-1].astype(kind)
            out = np.full(size + 2, 77, np.float32)
            hs.convert(operand, target, out=out[1:-1])
            assert out[0] == out[-1] == 77
            want, raised = wanted(operand, target, hs.Rounding.roundTiesToEven, hs.IEEE)
            np.testing.assert_array_equal(out[1:-1].view(np.uint32), want)
            np.testing.assert_array_equal(hs.convert.flagged(operand, target).flags, raised)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "float8_e4m3fn"])
@pytest.mark.parametrize("size", [1000, 1 << 16])
def test_every_pattern_of_few_bits(name, size):
    """With and without a table, flags too."""
    dtype = np.dtype(getattr(pytest.importorskip("ml_dtypes"), name))
    word = np.uint8 if dtype.itemsize == 1 else np.uint16
    source = {"bfloat16": hs.BFLOAT16, "float8_e5m2": hs.E5M2, "float8_e4m3fn": hs.E4M3}[name]
    every = np.arange(1 << 16).astype(word)
    for target in (hs.BINARY16, hs.BINARY32, hs.BINARY64, hs.BFLOAT16, hs.E5M2, hs.E4M3):
        for rounding, environment in itertools.product(list(hs.Rounding)[::2], (hs.IEEE, hs.X86, ENVIRONMENTS[7])):
            control = control_word(rounding, environment)
            want, raised = conversion.general(host, every, source, False, target, (control, 0, 0))
            for first in range(0, every.size, max(size, 1 << 14)):
                part = slice(first, first + size)
                x = every[part].view(dtype)
                got, flags = hs.convert.flagged(x, target, rounding=rounding, environment=environment)
                np.testing.assert_array_equal(got.view(want.dtype), want[part])
                np.testing.assert_array_equal(flags, raised[part])
                got = hs.convert(x, target, rounding=rounding, environment=environment)
                np.testing.assert_array_equal(got.view(want.dtype), want[part])


def test_what_is_left_to_other_loops():
    nearest = control_word(hs.Rounding(0), hs.IEEE)
    assert narrowing_rule.takes(hs.BFLOAT16, nearest)
    assert not narrowing_rule.takes(hs.BFLOAT16, control_word(hs.Stochastic(bits=8, seed=0), hs.IEEE))
    assert not narrowing_rule.takes(hs.Format("too precise", 31, 23, -126, 127, Specials.ieee), nearest)
    assert not narrowing_rule.takes(hs.Format("too far", 19, 10, -254, 255, Specials.ieee), nearest)
    assert not narrowing_rule.takes(hs.Format("too small", 15, 8, -110, 15, Specials.ieee), nearest)
    large = hs.Format("too large", 3, 2, 47, 47, Specials.nan_only)
    assert not narrowing_rule.takes(large, nearest)
    same(boundaries()[::11].view(np.float32), large, hs.Rounding.roundTowardPositive, hs.IEEE)
    x = boundaries()[::11].view(np.float32)
    same(x, hs.Format("too small", 15, 8, -110, 15, Specials.ieee), hs.Rounding.roundTowardPositive, hs.IEEE)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets x86's control register")
@pytest.mark.parametrize("name", ["bfloat16", "E4M3"])
def test_the_state_of_the_processor_changes_nothing(name):
    """Another library may have left rounding upward, flush-to-zero and denormals-are-zero behind."""
    target, words = TARGETS[name], boundaries()[::3]
    numbers = words.view(np.float32)[np.isfinite(words.view(np.float32))]
    wide = numbers.astype(np.float64).view(np.int64)
    words = numbers.view(np.uint32)
    for rounding in hs.Rounding:
        control = control_word(rounding, hs.IEEE)
        rule = narrowing_rule.make_rule(target, control, has(control, Bit.flushInputs))
        (want, raised), odd = wanted(numbers, target, rounding, hs.IEEE), np.empty_like(words)
        (got, again), flags = np.empty((2, want.size), want.dtype), np.empty(want.size, np.uint8)
        for first in (words, wide):
            before = set_state(0x1F80 | 0x4000 | 0x8000 | 0x40)
            if first is wide:
                narrowing.round_binary64_to_odd(wide, odd, False)
            narrowing.round_binary32(words if first is words else odd, got, rule)
            narrowing.round_flagged(words if first is words else odd, again, flags, rule)
            set_state(before)
            np.testing.assert_array_equal(got, want)
            np.testing.assert_array_equal(again, want)
            np.testing.assert_array_equal(flags, raised)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
def test_loops_are_vectorised():
    word = numba.types.uint32[::1]
    rule = numba.typeof(narrowing_rule.make_rule(hs.E4M3, 0, False))
    # How subnormal numbers of the format's own are rounded, to nearest and otherwise.
    nearest = assembly_of(narrowing._values_own_nearest, word, word, rule)
    values = assembly_of(narrowing._values_own, word, word, rule)
    flagged = assembly_of(narrowing._flagged_own, word, word, numba.types.uint8[::1], rule)
    assert re.search(r"\bv?subps\s.*%[xyz]mm", nearest)
    assert not re.search(r"\bv?(paddq|psllq|pcmpgtq|pmovqd)\b", nearest)
    for assembly in (values, flagged):
        assert re.search(r"\bv?cvttps2dq\s.*%[xyz]mm", assembly)
        # Half of the lanes of such vectors would be lost.
        assert not re.search(r"\bv?(paddq|psllq|pcmpgtq|pmovqd)\b", assembly)
