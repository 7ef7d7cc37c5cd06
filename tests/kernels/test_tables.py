"""Tables of functions of one operand: what the general loop says, and only where they are allowed."""

from __future__ import annotations

import numba
import numpy as np
import pytest

import halfsim as hs
from halfsim.core.control import control_word
from halfsim.environment import FLUSHING
from halfsim.kernels.select import select_loops
from halfsim.kernels.tables import WORTH, table_loops

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="fast loops exist only as machine code")

EVERY = hs.from_bits(np.arange(1 << 16))
CONVERTED = [hs.BINARY64, hs.BFLOAT16, hs.E4M3, hs.TF32, np.int8, np.uint16, np.int64, np.uint64]


def small(call, x):
    """Values and flags of an array in parts that are too small for a table."""
    parts = [call(part) for part in np.array_split(x, 8)]
    return [np.concatenate([part[i] for part in parts]) for i in (0, 1)]


@pytest.mark.parametrize("environment", [hs.IEEE, hs.ARM, FLUSHING])
@pytest.mark.parametrize("rounding", hs.Rounding)
def test_tables_hold_what_the_general_loops_say(rounding, environment):
    how = {"rounding": rounding, "environment": environment}
    calls = [
        lambda x: hs.logb.flagged(x, **how),
        lambda x: hs.round_to_integral.flagged(x, **how),
        lambda x: hs.round_to_integral.flagged(x, exact=True, **how),
        *[lambda x, to=to: hs.convert.flagged(x, to, exact=True, **how) for to in CONVERTED],
    ]
    for call in calls:
        want, raised = small(call, EVERY)
        got, flags = call(EVERY)
        np.testing.assert_array_equal(got.view(np.uint8), want.view(np.uint8))
        np.testing.assert_array_equal(flags, raised)


@pytest.mark.parametrize("environment", [hs.IEEE, hs.X86, FLUSHING])
@pytest.mark.parametrize("rounding", hs.Rounding)
def test_integral_values_without_flags_are_those_with(rounding, environment):
    """Without flags the processor rounds, where it knows the direction."""
    how = {"rounding": rounding, "environment": environment}
    want, _ = small(lambda x: hs.round_to_integral.flagged(x, **how), EVERY)
    for got in (hs.round_to_integral(EVERY, **how), hs.round_to_integral(EVERY[::-1], **how)[::-1]):
        np.testing.assert_array_equal(hs.to_bits(got), hs.to_bits(want))
    few = np.concatenate([hs.round_to_integral(part, **how) for part in np.array_split(EVERY, 8)])
    np.testing.assert_array_equal(hs.to_bits(few), hs.to_bits(want))


def test_every_setting_has_a_table_of_its_own():
    half = np.full(WORTH, 2.5, np.float16)
    for rounding, want in (("rtz", 2), ("rup", 3), ("rne", 2), ("rna", 3)):
        assert (hs.round_to_integral(half, rounding=rounding) == want).all()
        assert (hs.convert(half, np.int8, rounding=rounding) == want).all()
    assert (hs.round_to_integral.flagged(half, exact=True).flags == 1).all()
    assert not hs.round_to_integral.flagged(half).flags.any()


def test_stochastic_results_depend_on_the_place():
    half = np.full(WORTH, 2.5, np.float16)
    mode = hs.Stochastic(bits=1, seed=3)
    integral, whole = hs.round_to_integral(half, rounding=mode), hs.convert(half, np.int8, rounding=mode)
    assert set(np.unique(integral)) == {2, 3}
    np.testing.assert_array_equal(integral, whole)
    np.testing.assert_array_equal(integral[:99], hs.round_to_integral(half[:99], rounding=mode))


def test_few_elements_make_no_table():
    control = control_word(hs.Rounding(0), hs.IEEE)
    row = hs.logb
    assert select_loops("logb", row.kernel, (), control, False).flagged is row.kernel
    large = select_loops("logb", row.kernel, (), control, True)
    assert large is table_loops(row.kernel, (), control, np.dtype(np.uint16))
