"""Comparisons, minima, maxima, remainders and powers of two: the vectorised loops give what the general ones give."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest

import halfsim as hs
from halfsim.core.compare import Extremum
from halfsim.core.control import control_word, gradual
from halfsim.kernels import elementwise, f16c, fast, flagged, host, order
from halfsim.kernels.loops import Loops
from halfsim.kernels.select import select_loops
from tests.exhaustive_fast import ENVIRONMENTS, differences
from tests.oracles.corners import pairs

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="fast loops exist only as machine code")

FLUSHING = [
    replace(hs.ARM, flush_inputs=True, flush_results=True),
    replace(hs.X86, flush_inputs=True),
    replace(hs.IEEE, flush_results=True),
]
EVERY = [*(getattr(hs, name) for name in ENVIRONMENTS), *FLUSHING]
A, B = (np.ascontiguousarray(x, np.uint16) for x in pairs(100_000, level=1))
SIZE = 1 << 20


def same(loop, general, operands, control, extra=(), dtype=np.uint16):
    """Whether two loops write the same, and if not, where first."""
    got, want = (np.empty(operands[0].size, dtype) for _ in range(2))
    flags, raised = (np.full(got.size, 77, np.uint8) for _ in range(2))
    loops = Loops(loop, general=general, optional=loop in (flagged.remainder, flagged.scaleb))
    host.run(loops, operands, got, flags, (control, 0, 0), extra)
    if loops.optional:
        again = np.empty_like(got)
        host.run(loops, operands, again, None, (control, 0, 0), extra)
        np.testing.assert_array_equal(again, got)
    general(*operands, want, raised, control, 0, 0, *extra)
    wrong = np.flatnonzero((got != want) | (flags != raised))
    where = [hex(int(x[wrong[0]])) for x in operands] if wrong.size else []
    assert not wrong.size, (where, extra, control)


def loops_of(name, control):
    """The loops of an operation on this processor."""
    converts = gradual(control) == control and f16c.available()
    return [getattr(module, name) for module in (fast, flagged)[: 1 + converts]]


@pytest.mark.parametrize("environment", EVERY)
def test_every_extremum(environment):
    for code in range(2 * Extremum.magnitude):
        same(order.extremum, elementwise.extremum, (A, B), control_word(hs.Rounding(0), environment), (code,))


@pytest.mark.parametrize("environment", EVERY)
def test_every_comparison(environment):
    control = control_word(hs.Rounding(0), environment)
    for mask in range(16):
        for signaling in (0, 1):
            extra = mask, signaling
            same(order.compare_relation, elementwise.compare_relation, (A, B), control, extra, np.bool_)


@pytest.mark.parametrize("environment", EVERY)
@pytest.mark.parametrize("rounding", [*hs.Rounding, hs.Stochastic(bits=9, seed=1)])
def test_remainders(environment, rounding):
    control = control_word(rounding, environment)
    for loop in loops_of("remainder", control):
        same(loop, elementwise.remainder, (A, B), control)


@pytest.mark.parametrize("environment", EVERY)
@pytest.mark.parametrize("rounding", hs.Rounding)
def test_powers_of_two(environment, rounding):
    control = control_word(rounding, environment)
    near = B.astype(np.int64) % 61 - 30
    far = np.random.default_rng(3).integers(-(2**63), 2**63 - 1, A.size, endpoint=True)
    for power in (near, far, near.astype(np.uint16), np.resize([-101, -100, -99, 99, 100, 101], A.size)):
        for loop in loops_of("scaleb", control):
            same(loop, elementwise.scaleb, (A, power), control)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("rounding", [mode for mode in hs.Rounding if f16c.direct(mode)])
@pytest.mark.skipif(not f16c.available(), reason="the processor does not convert binary16")
def test_every_integral_value(rounding, exact):
    control = control_word(rounding, hs.IEEE, exact=exact)
    for every in (np.arange(1 << 16, dtype=np.uint16), A[:-3]):
        same(flagged.round_to_integral, elementwise.round_to_integral, (every,), control)
    assert select_loops("round_to_integral", elementwise.round_to_integral, (), control, True).flagged is (
        flagged.round_to_integral
    )


@pytest.mark.parametrize("name", ["remainder", "minimum", "maximum_number", "minsh", "max_num_mag", "less", "equal"])
def test_millions_of_pairs(name):
    rng = np.random.default_rng([*name.encode()])
    for environment in (hs.IEEE, FLUSHING[0]):
        for chunk in range(5):
            a, b = (rng.integers(0, 1 << 16, SIZE, dtype=np.uint16) for _ in range(2))
            if chunk % 2:
                # Few units in the last place apart, and quotients about a half-integer.
                b = (a ^ (rng.integers(0, 4, SIZE) << 14 & 0x8000) ^ rng.integers(0, 8, SIZE)).astype(np.uint16)
                b += (rng.integers(-2, 3, SIZE) << 10).astype(np.uint16)
            assert differences(name, (a, b), control_word(hs.Rounding(0), environment)) == []


def test_half_integral_quotients():
    """Ties, to even: every x with y whose quotient is a half-integer, and its neighbours."""
    y = np.arange(0x3C00, 0x4400, dtype=np.uint16)
    for odd in (1, 3, 5, 7, 2047):
        x = (hs.from_bits(y).astype(np.float64) * odd / 2).astype(np.float16).view(np.uint16)
        for step in (-1, 0, 1):
            operands = (x + np.uint16(step & 0xFFFF), y)
            assert differences("remainder", operands, control_word(hs.Rounding(0), hs.IEEE)) == []


def test_the_front_door_takes_these_loops():
    control = control_word(hs.Rounding(0), hs.IEEE)
    random = control_word(hs.Stochastic(bits=3, seed=0), hs.IEEE)
    for row in (hs.less, hs.min_num, hs.remainder, hs.scaleb):
        assert select_loops(row.name, row.kernel, row.extra, control, False).flagged is not row.kernel
    # The powers of two alone are rounded, so by the general loop if at random.
    assert select_loops("scaleb", hs.scaleb.kernel, (), random, False).flagged is hs.scaleb.kernel
    assert select_loops("less", hs.less.kernel, hs.less.extra, random, False).flagged is order.compare_relation
