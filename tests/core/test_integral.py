"""Whole numbers, exponents and neighbours: every input, every mode, against the standard's own words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from tests.checking import STEPS, as_environment, assert_same, flagged, rational_table
from tests.oracles import corners, ordering, rational, softfloat

RISCV = rational.MACHINES["RISCV"]
MACHINES = list(rational.MACHINES.values())
EVERY = np.arange(65536, dtype=np.uint64)


@STEPS
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("mode", rational.MODES)
def test_round_to_integral_of_every_input(mode, exact, step):
    context = rational.Context(mode, RISCV)
    got = flagged("round_to_integral", [EVERY], context, exact=exact)
    # SoftFloat rounds every input, in all modes but one.
    some = slice(None, None, step if mode in softfloat.MODES else 1)
    want = rational_table(rational.round_to_integral, [EVERY[some]], context, exact=exact)
    assert_same(mode, [EVERY[some]], want, [column[some] for column in got])
    if mode in softfloat.MODES:
        bits, flags = softfloat.call("f16_round_to_int", EVERY, mode=mode, exact=exact)
        assert_same(mode, [EVERY], [bits.astype(np.uint16), flags], got)


@STEPS
@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
@pytest.mark.parametrize("name", ["nextup", "nextdown"])
def test_neighbours_of_every_input(name, machine, step):
    every, context = EVERY[:: 1 if machine is rational.IEEE else step], rational.Context(machine=machine)
    want = rational_table(ordering.next_toward, [every], name == "nextup", context)
    assert_same(name, [every], want, flagged(name, [every], context))


@STEPS
@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
@pytest.mark.parametrize("flush", [False, True])
def test_logb_of_every_input(machine, flush, step):
    every = EVERY[:: 1 if machine is rational.IEEE else step]
    context = rational.Context(machine=replace(machine, flush_inputs=flush))
    assert_same("logb", [every], rational_table(ordering.logb, [every], context), flagged("logb", [every], context))


@pytest.mark.parametrize("tininess", ["after", "before"])
@pytest.mark.parametrize("mode", rational.MODES)
def test_scaleb(mode, tininess):
    powers = [
        -(2**62),
        -100,
        -50,
        -30,
        -26,
        -25,
        -24,
        -13,
        -11,
        -10,
        -3,
        -1,
        0,
        1,
        2,
        11,
        15,
        30,
        31,
        40,
        41,
        99,
        2**62,
    ]
    bits = np.union1d(corners.patterns(level=1), corners.NANS.astype(np.uint64))
    for flush in (False, True):
        machine = replace(rational.IEEE, tininess=tininess, flush_inputs=flush, flush_results=flush)
        context = rational.Context(mode, machine)
        for power in powers:
            want = rational_table(ordering.scaleb, [bits], power, context)
            value, flags = hs.scaleb.flagged(
                hs.from_bits(bits), power, rounding=mode, environment=as_environment(machine)
            )
            assert_same(f"scaleb {power} {mode}", [bits], want, [hs.to_bits(value), flags])
