"""Comparisons, minima and maxima, total order, classes, neighbours and exponents against the standards' own words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from tests.checking import STEPS, assert_same, flagged, rational_table
from tests.oracles import corners, ordering, rational, softfloat

EVERY = np.arange(65536, dtype=np.uint64)
MACHINES = list(rational.MACHINES.values())
SOFTFLOAT = {
    "equal": "f16_eq",
    "equal_signaling": "f16_eq_signaling",
    "less": "f16_lt",
    "less_quiet": "f16_lt_quiet",
    "less_equal": "f16_le",
    "less_equal_quiet": "f16_le_quiet",
}


@pytest.fixture(scope="module")
def operands():
    a, b = corners.pairs(2000, seed=41)
    same = corners.random_patterns(500, 1, seed=42)[0]
    return np.concatenate([a, same, same]), np.concatenate([b, same, same ^ 0x8000])


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("name", ordering.COMPARISONS)
def test_comparison(name, flush, operands):
    context = rational.Context(machine=replace(rational.IEEE, flush_inputs=flush))
    want = rational_table(ordering.compare, operands, name, context)
    got = flagged(name, operands, context)
    assert got[0].dtype == np.bool_
    assert_same(name, operands, want, got)


@pytest.mark.parametrize("name", SOFTFLOAT)
def test_comparison_equals_softfloat(name):
    operands = corners.pairs(10_000, seed=43, level=1)
    assert_same(name, operands, softfloat.call(SOFTFLOAT[name], *operands), flagged(name, operands, rational.PLAIN))


@STEPS
@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.name)
@pytest.mark.parametrize("name", ordering.EXTREMA)
def test_extremum(name, machine, flush, operands, step):
    context = rational.Context(machine=replace(machine, flush_inputs=flush))
    # Every machine with pairs of its own, so that all together have them all.
    place = (2 * MACHINES.index(machine) + flush) % step
    operands = [column[place::step] for column in operands]
    want = rational_table(ordering.extremum, operands, name, context)
    assert_same(f"{name} {machine.name}", operands, want, flagged(name, operands, context))


def test_total_order(operands):
    a, b = operands
    got = hs.total_order(hs.from_bits(a), hs.from_bits(b))
    want = [ordering.total_order(int(x), int(y)) for x, y in zip(a, b, strict=True)]
    assert_same("total_order", operands, [np.array(want)], [got])
    got = hs.total_order_mag(hs.from_bits(a), hs.from_bits(b))
    want = [ordering.total_order(int(x) & 0x7FFF, int(y) & 0x7FFF) for x, y in zip(a, b, strict=True)]
    assert_same("total_order_mag", operands, [np.array(want)], [got])


def test_class_predicates_of_every_input():
    x = hs.from_bits(EVERY)
    names = np.array([ordering.class_name(int(b)) for b in EVERY])
    codes = hs.classify(x)
    assert [hs.Class(c).name for c in codes.tolist()] == names.tolist()
    is_nan = np.char.endswith(names, "NaN")
    is_infinite = np.char.endswith(names, "Infinity")
    for got, want in [
        (hs.isnan(x), is_nan),
        (hs.isinf(x), is_infinite),
        (hs.isfinite(x), ~(is_nan | is_infinite)),
        (hs.isnormal(x), np.char.endswith(names, "Normal")),
        (hs.issubnormal(x), np.char.endswith(names, "Subnormal")),
        (hs.iszero(x), np.char.endswith(names, "Zero")),
        (hs.issignaling(x), names == "signalingNaN"),
        (hs.signbit(x), EVERY >> 15 == 1),
        (hs.iscanonical(x), np.full(EVERY.shape, True)),
    ]:
        assert got.dtype == np.bool_
        np.testing.assert_array_equal(got, want)


def test_predicates_raise_nothing():
    x = hs.from_bits(EVERY)
    names = (
        "isnan isinf isfinite isnormal issubnormal iszero issignaling signbit iscanonical classify negative absolute"
    )
    for name in names.split():
        assert not getattr(hs, name).flagged(x).flags.any()
