"""Conversions to narrow formats in 64-bit lanes give what the core gives, through the front door too."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest

import halfsim as hs
from halfsim.core.control import control_word
from halfsim.core.fields import layout
from halfsim.formats import Specials
from halfsim.kernels import conversion, elementwise, host, wide
from halfsim.kernels.select import wide_loop
from tests.checking import STEPS
from tests.oracles.corners import float_neighbours

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="fast loops exist only as machine code")

TARGETS = {
    fmt.name: fmt
    for fmt in (
        *(hs.BINARY16, hs.BFLOAT16, hs.TF32, hs.E5M2, hs.E4M3, hs.BINARY32),
        hs.Format("no specials", 6, 3, -2, 4, Specials.none),
        hs.Format("twenty bits", 20, 14, -30, 31, Specials.ieee),
    )
}
ENVIRONMENTS = [
    *(hs.IEEE, hs.RISCV, hs.ARM, hs.X86),
    replace(hs.ARM, flush_inputs=True, flush_results=True),
    replace(hs.IEEE, flush_results=True),
]
SOURCES = {
    "binary32": (hs.BINARY32, np.float32, np.uint32, wide.from_binary32),
    "binary64": (hs.BINARY64, np.float64, np.int64, wide.from_binary64),
}


def roundings(target):
    random = [hs.Stochastic(bits=bits, seed=1) for bits in (1, 13, 32)] if target.precision <= 20 else []
    return [*hs.Rounding, *random]


def patterns(source, target):
    """About every boundary of binary16, in and about the range of the target, and anywhere."""
    _, dtype, word, _ = SOURCES[source]
    rng = np.random.default_rng(target.width)
    low, top = target.emin, target.emax
    exponents = [rng.integers(low - 30, low + 30, 20_000), rng.integers(top - 9, top + 3, 20_000)]
    with np.errstate(over="ignore"):
        near, high = ((rng.standard_normal(20_000) * 2.0**exponent).astype(dtype) for exponent in exponents)
    # Few significant bits, so that ties and exact numbers are many.
    ones = np.array(-1 << max(0, np.finfo(dtype).nmant - target.precision)).astype(word)
    short = near.view(word) & ones
    anywhere = rng.integers(-(2**63), 2**63, 10_000).view(np.uint64) >> (64 - 8 * np.dtype(word).itemsize)
    columns = (float_neighbours(dtype, count=2000).view(word), near.view(word), high.view(word), short, anywhere)
    return np.concatenate([x.astype(word) for x in columns])


def integers():
    rng = np.random.default_rng(4)
    any_size = rng.integers(-(2**63), 2**63 - 1, 20_000, endpoint=True) >> rng.integers(0, 62, 20_000)
    edges = [0, 1, -1, 2047, 2049, 65519, 65520, 2**53 + 1, 2**54 - 1, 2**62 + 1, 2**63 - 1, 1 - 2**63, -(2**63)]
    return np.concatenate([any_size, edges])


def same(loop, general, operand, target, control, first):
    word = conversion.words(target.width)
    got, want = (np.empty(operand.size, word) for _ in range(2))
    flags, raised = (np.full(operand.size, 77, np.uint8) for _ in range(2))
    loop(operand, got, flags, control, 3, 2**32 - 99, first, layout(target))
    general(operand, want, raised, control, 3, 2**32 - 99, first, layout(target))
    wrong = np.flatnonzero((got != want) | (flags != raised))
    assert not wrong.size, (hex(operand[wrong[0]]), hex(got[wrong[0]]), hex(want[wrong[0]]), control)


@STEPS
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", TARGETS)
def test_every_rounding_and_environment(source, name, step):
    target, (fmt, _, _, loop) = TARGETS[name], SOURCES[source]
    if target == fmt:
        pytest.skip("nothing to round")
    every = patterns(source, target)
    for rounding in roundings(target):
        for place, environment in enumerate(ENVIRONMENTS):
            operand = every[place % step :: step]
            for saturate in (False, True):
                control = control_word(rounding, environment, saturate=saturate)
                same(loop, elementwise.convert, operand, target, control, layout(fmt))


@pytest.mark.parametrize("rounding", hs.Rounding)
def test_binary64_to_binary32_without_flags(rounding):
    x = patterns("binary64", hs.BINARY32)
    for environment in ENVIRONMENTS:
        want, _ = conversion.general(
            host, x, hs.BINARY64, False, hs.BINARY32, (control_word(rounding, environment), 0, 0)
        )
        got = hs.convert(x.view(np.float64), hs.BINARY32, rounding=rounding, environment=environment)
        assert (got.view(np.uint32) == want).all()


@pytest.mark.parametrize("name", TARGETS)
def test_integers(name):
    target = TARGETS[name]
    for rounding in roundings(target):
        for environment in ENVIRONMENTS:
            for signed in (0, 1):
                control = control_word(rounding, environment)
                same(wide.from_int64, elementwise.from_integer, integers(), target, control, signed)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("rounding", ["rne", "rup", hs.Stochastic(bits=11, seed=5, offset=3)])
def test_the_front_door_delivers_the_core_s_values(name, rounding):
    """Against `general`, which a GPU runs: values held in a wider format, and their flags."""
    target, rng = TARGETS[name], np.random.default_rng(8)
    mode = rounding if isinstance(rounding, hs.Stochastic) else hs.Rounding.roundTowardPositive
    mode = hs.Rounding.roundTiesToEven if rounding == "rne" else mode
    random = isinstance(mode, hs.Stochastic)
    options = control_word(mode, hs.IEEE), mode.seed if random else 0, mode.offset if random else 0
    numbers = (rng.standard_normal(70_000) * 2.0 ** rng.integers(-30, 30, 70_000)).astype(np.float32)
    cases = [(numbers, hs.BINARY32), (hs.from_bits(rng.integers(0, 1 << 16, 70_000)), hs.BINARY16), (integers(), None)]
    for x, source in cases:
        got, flags = hs.convert.flagged(x, target, rounding=rounding)
        words = x.view(conversion.words(source.width)) if source is not None else x
        want, raised = conversion.general(host, words, source, False, target, options)
        np.testing.assert_array_equal(got.view(want.dtype), want)
        np.testing.assert_array_equal(flags, raised)
        assert (hs.convert(x, target, rounding=rounding).view(want.dtype) == want).all()


def test_what_is_left_to_the_general_loop():
    word = control_word(hs.Rounding(0), hs.IEEE)
    random = control_word(hs.Stochastic(bits=4, seed=0), hs.IEEE)
    assert wide_loop(hs.BINARY64, hs.BINARY32, word) is wide.from_binary64
    assert wide_loop(hs.BINARY64, hs.BINARY32, random) is None  # no room for 32 random bits
    assert wide_loop(hs.BINARY32, hs.BINARY64, word) is None
    assert wide_loop(hs.BFLOAT16, hs.E4M3, word) is None
    assert wide_loop(hs.BINARY64, hs.Format("far", 20, 9, -1022, 1023, Specials.ieee), word) is None
