"""The blocks of AMD's matrix units on operands that put binary64 to the test; which blocks are vectorised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.core.control import control_word
from halfsim.core.fields import layout
from halfsim.core.nan import default_nan
from halfsim.kernels import fused, pairwise, product, units
from tests.kernels.test_fused import NAMES, both
from tests.tensorcores.tiles import Tile

AMD = {name: row for name, row in NAMES.items() if not isinstance(row, hs.FusedDotAdd)}
EXACT = hs.ExactDotAdd(terms=4)
STAGED = hs.TwoStageDotAdd(terms=8, term_bits=24, product_bits=32, addend_bits=24, total_bits=31)
FLUSHING = hs.Environment(flush_inputs=True, flush_results=True)


def factors(rng, fmt, shape, low, high):
    """Patterns of numbers beside powers of two, whose sums are ties and neighbours of ties; a few are zero."""
    point = fmt.precision - 1
    exponent = rng.integers(max(low + fmt.bias, 0), min(high + fmt.bias, fmt.emax + fmt.bias) + 1, shape)
    fraction = rng.choice([0, 0, 0, 1, (1 << point) - 1, 1 << (point - 1)], shape)
    bits = (exponent << point | fraction) * (rng.random(shape) < 0.9)
    return bits | rng.integers(0, 2, shape) << (fmt.width - 1)


def hard(row, seed, m, k, n):
    """Exponents spread over all that products and C can have, or over so little that they meet."""
    rng = np.random.default_rng(seed)
    wide = row.inputs[0].emax > 100
    low, high = ((-20, 16), (-3, 4), (-12, -4))[seed % 3]
    scale = 3 if wide and seed % 2 else 1
    a, b = (
        factors(rng, fmt, shape, scale * low, scale * high)
        for fmt, shape in zip(row.inputs, ((m, k), (k, n)), strict=True)
    )
    # Products that cancel, but for what the last digit of one leaves.
    a[:, 1::2] = np.where(rng.random(a[:, 1::2].shape) < 0.4, a[:, ::2] ^ 0x8000, a[:, 1::2])
    b[1::2] = np.where(rng.random(b[1::2].shape) < 0.4, b[::2], b[1::2])
    near = scale * rng.integers(2 * low - 2, 2 * high + 27, (m, n))
    exponent = np.where(rng.random((m, n)) < 0.8, near, rng.integers(-149, 128, (m, n))).clip(-126, 127)
    fraction = rng.choice([0, 0, 1, 2, 3, (1 << 23) - 1, 1 << 22, 0x400000 - 1], (m, n))
    c = (exponent + 127 << 23 | fraction) * (rng.random((m, n)) < 0.9) | rng.integers(0, 2, (m, n)) << 31
    return Tile(row.inputs, a, b, c.astype(np.uint32).view(np.float32))


@pytest.mark.parametrize("name", AMD)
def test_sums_at_and_beside_ties_equal_those_of_the_core(name):
    for seed in range(6):
        fast, general = both(AMD[name], hard(AMD[name], seed, 40, 2 * AMD[name].terms + 2, 83))
        assert np.array_equal(fast, general), seed


@pytest.mark.slow
@pytest.mark.parametrize("name", AMD)
def test_ten_million_terms_at_and_beside_ties(name):
    shape = 200, 2 * AMD[name].terms + 2, 150
    for seed in range(100, 101 + 10**7 // (shape[0] * shape[1] * shape[2])):
        fast, general = both(AMD[name], hard(AMD[name], seed, *shape))
        assert np.array_equal(fast, general), seed


@pytest.mark.parametrize("change", [{"terms": 1}, {"terms": 5}, {"terms": 32}, {"inputs": hs.E5M2}], ids=str)
def test_other_exact_blocks_are_vectorised(change):
    row = replace(EXACT, **change)
    assert product.plan(row).fast is fused.fused
    for seed in range(3):
        fast, general = both(row, hard(row, seed, 20, 2 * row.terms + 2, 40))
        assert np.array_equal(fast, general), seed


@pytest.mark.parametrize(
    "change",
    [
        {"terms": 3, "term_bits": 20, "product_bits": 30, "addend_bits": 30, "total_bits": 30},
        {"terms": 1, "term_bits": 28, "product_bits": 40, "addend_bits": 23, "total_bits": 23},
        {"inputs": (hs.BFLOAT16, hs.BINARY16), "total_bits": 51},
        {"inputs": (hs.E4M3, hs.E5M2)},
    ],
    ids=str,
)
def test_other_blocks_of_two_stages_are_vectorised(change):
    row = replace(STAGED, **change)
    assert product.plan(row).fast is fused.fused
    for seed in range(3):
        fast, general = both(row, hard(row, seed, 20, 2 * row.terms + 2, 40))
        assert np.array_equal(fast, general), seed


@pytest.mark.parametrize(
    "row",
    [
        replace(EXACT, terms=33),
        replace(EXACT, rounding="rtz"),
        replace(EXACT, output=hs.BINARY16),
        replace(EXACT, terms=3, inputs=hs.BFLOAT16),
        replace(STAGED, join="rtz"),
        replace(STAGED, align="rne"),
        replace(STAGED, rounding="rdn"),
        replace(STAGED, term_bits=30),
        replace(STAGED, total_bits=20),
        replace(STAGED, addend_bits=33),
        replace(STAGED, terms=64, product_bits=40, term_bits=20, total_bits=50, addend_bits=40, output=hs.BFLOAT16),
        hs.PairwiseDotAdd(terms=4, depth=8),
        hs.PairwiseDotAdd(terms=8, depth=8, environment=FLUSHING),
        hs.PairwiseDotAdd(terms=4, depth=8, environment=FLUSHING, rounding="rup"),
        hs.PairwiseDotAdd(terms=4, depth=8, environment=hs.Environment(flush_inputs=True), inputs=hs.BFLOAT16),
        hs.PairwiseDotAdd(terms=4, depth=8, environment=FLUSHING, inputs=(hs.BFLOAT16, hs.BINARY16)),
    ],
    ids=str,
)
def test_what_no_loop_is_proved_for_is_left_to_the_core(row):
    assert product.plan(row).fast is None


def test_a_flushed_total_keeps_its_sign_within_an_instruction_alone():
    row = hs.PairwiseDotAdd(terms=2, depth=4, environment=FLUSHING, inputs=hs.BFLOAT16)
    assert product.plan(row).fast is pairwise.binary32
    a = np.array([[2.0**-63, 0, -1, -1]], np.float32)
    b = np.array([[2.0**-63, 0, 0, 0]], np.float32).T
    c = np.full((1, 1), -1.25 * 2.0**-126, np.float32)
    for depth, sign in ((4, True), (2, False)):
        d = hs.matmul(a, b, c, accumulator=replace(row, depth=depth))
        assert d == 0 and np.signbit(d) == sign


def test_a_nan_is_that_of_the_unit():
    a = np.array([[np.nan, 1], [np.inf, 1], [1, 1]], np.float16)
    for row, nan in ((EXACT, 0x7FC00000), (STAGED, 0x7FC00000), (hs.tensorcores.row("h100", "f32"), 0x7FFFFFFF)):
        assert units.block(row).nan == nan
        d = hs.matmul(a, np.array([[0, 1], [1, 1]], np.float16), np.float32([[1, 1]]), accumulator=row)
        assert d.view(np.uint32)[:2].tolist() == [[nan, nan], [nan, 0x7F800000]]
        d = hs.matmul(a[2:], np.ones((2, 2), np.float16), np.float32([[np.nan, -np.inf]]), accumulator=row)
        assert d.view(np.uint32).tolist() == [[nan, 0xFF800000]]


@pytest.mark.parametrize("name", NAMES)
def test_a_block_gives_the_nan_that_the_core_gives(name):
    row = NAMES[name]
    found = units.block(row) if isinstance(row, hs.FusedDotAdd | hs.ExactDotAdd | hs.TwoStageDotAdd) else None
    if found is None:
        pytest.skip("no block of its own")
    environment = hs.CUDA if isinstance(row, hs.FusedDotAdd) else hs.IEEE
    fields = layout(hs.BINARY16 if row.output == hs.BINARY16 else hs.BINARY32)
    assert found.nan == default_nan(fields, control_word(hs.Rounding.roundTiesToEven, environment))
