"""Sums, products, quotients, roots and remainders: every mode and both tininesses against independent references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from halfsim.core import arithmetic, division
from halfsim.core.fields import layout
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, E4M3, E5M2, TF32
from tests.checking import STEPS, assert_same, control, flagged, rational_table
from tests.oracles import apy, corners, mpfr, rational, softfloat

RISCV = rational.MACHINES["RISCV"]
TWO = ["add", "subtract", "multiply", "divide", "remainder"]
EVERY = np.arange(65536, dtype=np.uint64)


def _context(mode, tininess="after", machine=RISCV, **changes):
    return rational.Context(mode, replace(machine, tininess=tininess, **changes))


# --- SoftFloat: values and flags ---


@pytest.fixture(scope="module")
def two_operands():
    return corners.pairs(10_000, seed=21, level=1)


@pytest.fixture(scope="module")
def three_operands():
    return corners.triples(20_000, seed=22)


@pytest.mark.parametrize("tininess", ["after", "before"])
@pytest.mark.parametrize("mode", rational.MODES)
@pytest.mark.parametrize("name", TWO)
def test_two_operands_equal_softfloat(name, mode, tininess, two_operands):
    if tininess == "before":
        two_operands = [column[::3] for column in two_operands]
    want = softfloat.operate(name, *two_operands, mode=mode, tininess=tininess)
    got = flagged(name, two_operands, _context(mode, tininess))
    assert_same(f"{name} {mode} {tininess}", two_operands, want, got)


@pytest.mark.parametrize("tininess", ["after", "before"])
@pytest.mark.parametrize("mode", rational.MODES)
def test_fma_equals_softfloat(mode, tininess, three_operands):
    want = softfloat.operate("fma", *three_operands, mode=mode, tininess=tininess)
    got = flagged("fma", three_operands, _context(mode, tininess))
    assert_same(f"fma {mode} {tininess}", three_operands, want, got)


# --- Witnesses that do not descend from SoftFloat ---


@pytest.mark.parametrize("mode", mpfr.MODES)
@pytest.mark.parametrize("name", [*TWO, "fma", "sqrt"])
def test_values_and_flags_equal_mpfr(name, mode, two_operands, three_operands):
    operands = {"fma": list(three_operands), "sqrt": [EVERY]}.get(name, list(two_operands))
    numbers = np.logical_and.reduce([(column & 0x7FFF) <= 0x7C00 for column in operands])
    operands = [column[numbers][::2] for column in operands]
    got = flagged(name, operands, _context(mode))
    assert_same(f"{name} {mode}", operands, mpfr.operate(name, *operands, mode=mode), got)


@pytest.mark.parametrize("mode", apy.MODES)
@pytest.mark.parametrize("name", TWO[:4])
def test_values_equal_apytypes(name, mode):
    operands = corners.pairs(200_000, seed=23, level=1)
    bits, _ = flagged(name, operands, _context(mode))
    assert_same(f"{name} {mode}", operands, [apy.operate(name, *operands, mode)], [bits])


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_nearest_even_equals_numpy(name):
    operands = corners.pairs(200_000, seed=24, level=1)
    bits, _ = flagged(name, operands, _context("rne"))
    a, b = (column.astype(np.uint16).view(np.float16) for column in operands)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(a, b)
    want = np.where(np.isnan(want), np.uint16(0x7E00), want.view(np.uint16))
    assert_same(name, operands, [want], [bits])


# --- Round to odd: the truncated result, its last bit set when inexact ---


@pytest.mark.parametrize("name", [*TWO, "fma", "sqrt"])
def test_odd_is_truncation_with_a_sticky_last_bit(name, two_operands, three_operands):
    operands = {"fma": list(three_operands), "sqrt": [EVERY]}.get(name, list(two_operands))
    truncated, flags = flagged(name, operands, _context("rtz"))
    odd = flagged(name, operands, _context("odd"))
    assert_same(name, operands, [truncated | (flags & 1), flags], odd)
    overflowed = flags & 4 != 0
    assert set((odd[0][overflowed] & 0x7FFF).tolist()) <= {0x7BFF}


# --- Flushing, which no other oracle knows ---


@STEPS
@pytest.mark.parametrize("flush", [(True, False), (False, True), (True, True)], ids=["inputs", "results", "both"])
@pytest.mark.parametrize("mode", rational.MODES)
@pytest.mark.parametrize("name", [*TWO, "fma", "sqrt"])
def test_flushing_equals_exact_arithmetic(name, mode, flush, step):
    every = {"fma": corners.triples(600, seed=25), "sqrt": [EVERY[::7]]}.get(name) or corners.pairs(600, seed=26)
    for place, (tininess, inexact) in enumerate((("after", True), ("before", True), ("after", False))):
        operands = [column[place % step :: step] for column in every]
        context = _context(mode, tininess, flush_inputs=flush[0], flush_results=flush[1], flush_inexact=inexact)
        want = rational_table(getattr(rational, name), operands, context)
        assert_same(f"{name} {mode} {tininess} {inexact}", operands, want, flagged(name, operands, context))


# --- The scalar core in other formats: what the accumulators are made of ---


def _signed(bits, fmt):
    return int(bits) - (1 << 64) if fmt.width == 64 and bits >> 63 else int(bits)


def _unsigned(row, fmt):
    return row[0] % 2**64 if fmt.width == 64 else row[0], row[1]


@pytest.mark.parametrize("fmt", [BINARY32, BINARY64, BFLOAT16, TF32, E5M2, E4M3], ids=lambda f: f.name)
@pytest.mark.parametrize("mode", rational.MODES)
def test_sums_in_other_formats(fmt, mode):
    context = _context(mode)
    word, fields = control(context), layout(fmt)
    for a, b in zip(corners.near_one(fmt, 400, 31), corners.near_one(fmt, 400, 32), strict=True):
        for name in ("add", "subtract"):
            want = getattr(rational, name)(a, b, context, fmt)
            got = getattr(arithmetic, name)(_signed(a, fmt), _signed(b, fmt), fields, word, 0)
            assert _unsigned(got, fmt) == want, (name, hex(a), hex(b))


@pytest.mark.parametrize(
    ("fmt", "to"),
    [
        (BINARY16, BINARY32),
        (BINARY16, BINARY64),
        (BINARY16, E4M3),
        (BFLOAT16, BINARY32),
        (BFLOAT16, BINARY16),
        (TF32, BINARY32),
        (E4M3, BINARY16),
        (E5M2, BINARY16),
        (BINARY32, BINARY32),
        (BINARY32, BINARY16),
    ],
    ids=lambda f: f.name,
)
@pytest.mark.parametrize("mode", rational.MODES)
def test_products_into_other_formats(fmt, to, mode):
    context = _context(mode, machine=rational.IEEE)
    word, fields, target = control(context), layout(fmt), layout(to)
    rows = zip(
        corners.near_one(fmt, 300, 33), corners.near_one(fmt, 300, 34), corners.near_one(to, 300, 35), strict=True
    )
    for a, b, c in rows:
        want = rational.multiply(a, b, context, fmt, to)
        got = arithmetic.multiply(a, b, fields, target, word, 0)
        assert _unsigned(got, to) == want, (hex(a), hex(b))
        want = rational.fma(a, b, c, context, fmt, to)
        got = arithmetic.fma(a, b, _signed(c, to), fields, target, word, 0)
        assert _unsigned(got, to) == want, (hex(a), hex(b), hex(c))


# --- Stochastic: the random word is an operand of the scalar core ---


@pytest.mark.parametrize("bits", [1, 3, 13, 32])
def test_stochastic_arithmetic_equals_exact_arithmetic(bits):
    operands = corners.triples(300, seed=37)
    words = np.random.default_rng(38).integers(0, 2**32, len(operands[0]))
    fields = layout(BINARY16)
    for a, b, c, random in zip(*operands, words, strict=True):
        a, b, c, random = int(a), int(b), int(c), int(random)
        context = rational.Context("stochastic", RISCV, random=random, random_bits=bits)
        word = control(context)
        assert arithmetic.add(a, b, fields, word, random) == rational.add(a, b, context)
        assert arithmetic.multiply(a, b, fields, fields, word, random) == rational.multiply(a, b, context)
        assert arithmetic.fma(a, b, c, fields, fields, word, random) == rational.fma(a, b, c, context)
        assert division.divide(a, b, fields, word, random) == rational.divide(a, b, context)
        assert division.sqrt(a, fields, word, random) == rational.sqrt(a, context)


@pytest.mark.parametrize("fmt", [BINARY32, BINARY64], ids=lambda f: f.name)
@pytest.mark.parametrize("bits", [7, 32])
def test_stochastic_sums_of_distant_terms(fmt, bits):
    """The random word is compared with bits of the smaller term that lie far below the larger one."""
    rng = np.random.default_rng(39)
    fields = layout(fmt)
    for _ in range(1500):
        one = (fmt.bias << (fmt.precision - 1)) | int(rng.integers(0, 1 << (fmt.precision - 1)))
        distance = int(rng.integers(1, fmt.precision + 35))
        small = ((fmt.bias - distance) << (fmt.precision - 1)) | int(rng.integers(0, 1 << (fmt.precision - 1)))
        random = int(rng.integers(0, 2**32))
        context = rational.Context("stochastic", RISCV, random=random, random_bits=bits)
        for name in ("add", "subtract"):
            want = getattr(rational, name)(one, small, context, fmt)
            got = getattr(arithmetic, name)(one, small, fields, control(context), random)
            assert _unsigned(got, fmt) == want, (name, hex(one), hex(small), hex(random))
