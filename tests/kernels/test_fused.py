"""The vectorised blocks of matrix units: every row of the table against the general loop, with infinities and NaNs."""

from __future__ import annotations

import platform
import re
from dataclasses import replace

import numba
import numpy as np
import pytest

import halfsim as hs
from halfsim.core._processor import has_feature
from halfsim.kernels import fused, pairwise, product, units
from halfsim.kernels.product import Operands
from halfsim.kernels.storage import as_words
from halfsim.tensorcores import TABLE
from tests.tensorcores.tiles import KINDS, held, tile

ONE = np.zeros(1, np.int64)
ROWS: dict = {}
for _entry in TABLE:
    ROWS.setdefault(_entry.accumulator, f"{_entry.architecture}-{_entry.instruction}-{_entry.inputs}-{_entry.output}")
MIXED = replace(next(row for row in ROWS if row.inputs[0] == hs.E4M3), inputs=(hs.E4M3, hs.E5M2))
ROWS[MIXED] = "e4m3-e5m2"
ROWS[replace(MIXED, inputs=(hs.BINARY16, hs.E4M3), fraction_bits=20)] = "binary16-e4m3"
NAMES = {name: row for row, name in ROWS.items()}
EDGES = {hs.BFLOAT16: 7, hs.TF32: 10}


def operands(case):
    words = (
        w.astype(np.uint16 if fmt.width <= 16 else np.uint32)
        for w, fmt in zip((case.a, case.b), case.inputs, strict=True)
    )
    return Operands(*(w[None] for w in words), ONE, ONE)


def both(accumulator, case, monkeypatch=None):
    """(vectorised, general) patterns of one product; with B decoded before, those of the first."""
    chosen = product.plan(accumulator)
    general, _ = product.evaluate(chosen._replace(fast=None), operands(case), case.c.copy(), flagged=False)
    if monkeypatch is not None:
        monkeypatch.setattr(product, "_compute_general", None)
    fast, _ = product.evaluate(chosen, operands(case), case.c.copy(), flagged=False)
    if chosen.leaves:
        panels = fused.decoded(as_words(operands(case), chosen.factors).b, *chosen.fast_extra)
        again, _ = product.evaluate(chosen, operands(case), case.c.copy(), False, panels)
        assert again.tobytes() == fast.tobytes()
    return fast.reshape(-1).view(chosen.storage.patterns), general.reshape(-1).view(chosen.storage.patterns)


def output(accumulator):
    return "f16" if accumulator.output == hs.BINARY16 else "f32"


def check(accumulator, kind, seed, *shape, monkeypatch=None):
    case = tile(kind, accumulator.inputs, output(accumulator), seed, *shape)
    fast, general = both(accumulator, case, monkeypatch)
    wrong = np.flatnonzero(fast != general)
    assert wrong.size == 0, (kind, wrong.size, wrong[:4], hex(fast[wrong[0]]), hex(general[wrong[0]]))


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_a_vectorised_loop_that_equals_the_general_one(name):
    accumulator = NAMES[name]
    assert product.plan(accumulator).fast is (
        pairwise.binary32 if isinstance(accumulator, hs.PairwiseDotAdd) else fused.fused
    )
    for kind in KINDS:
        check(accumulator, kind, 21, 21, 2 * accumulator.terms + 2, 83)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_row_on_ten_million_terms(name):
    accumulator = NAMES[name]
    shape = 90, 4 * accumulator.terms + 2, 150
    times = -(-(10**7) // (len(KINDS) * shape[0] * shape[1] * shape[2]))
    for seed in range(times):
        for kind in KINDS:
            check(accumulator, kind, 100 + seed, *shape)


@pytest.mark.parametrize("name", ["v100:f32", "h100:f16", "h100:f32:bf16", "h100:f32:wgmma:e4m3"])
def test_all_rows_of_a_large_product(name):
    """More rows, columns and terms than are decoded at a time, and an odd row left over."""
    row = hs.tensorcores.as_accumulator(name)
    case = tile("normal", row.inputs, output(row), 5, 35, 1030, 515)
    fast, general = both(row, case)
    assert np.array_equal(fast, general)


@pytest.mark.parametrize("name", ["h100:f16", "h100:f32:bf16", "mi100:f32", "mi250x:f32:bf16", "mi300x:f32"])
def test_sums_rest_between_parts_of_the_terms(name):
    """More rows than sums rest of, infinities and NaNs in any part, and a last block that is not full."""
    row = hs.tensorcores.as_accumulator(name)
    case = tile("special", row.inputs, output(row), 7, 290, 1034, 70)
    case.a[:200] &= 0x83FF if row.inputs[0] == hs.BINARY16 else 0xBFFF
    fast, general = both(row, case)
    assert np.array_equal(fast, general)


@pytest.mark.parametrize("name", ["h100:f16", "h100:f32:bf16", "h100:f32:tf32"])
@pytest.mark.parametrize("place", [(0, 0), (33, 140), (289, 299), None])
def test_marks_begin_with_the_first_tile_that_has_one(name, place):
    """An infinity in any tile: those before it are done, and not again, when memory for marks is there."""
    row = hs.tensorcores.as_accumulator(name)
    case = tile("normal", row.inputs, output(row), 8, 290, 2 * row.terms, 300)
    if place is not None:
        infinity = units.block(row).left.infinity if row.inputs[0] != hs.TF32 else 0x3FC00
        case.a[place[0], 1], case.b[2, place[1]] = infinity, infinity
    fast, general = both(row, case)
    assert np.array_equal(fast, general)


NO_OVERFLOW = [name for name, row in NAMES.items() if output(row) == "f32"]


@pytest.mark.parametrize("name", NO_OVERFLOW)
def test_infinities_and_nans_need_no_general_loop(name, monkeypatch):
    # A process's first product may be left to the general loop altogether.
    check(NAMES[name], "normal", 22, 2, 2 * NAMES[name].terms, 16)
    check(NAMES[name], "special", 22, 40, 3 * NAMES[name].terms, 83, monkeypatch=monkeypatch)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_overflow_before_an_infinity_of_the_other_sign_is_a_nan(sign):
    a = np.array([[60000, 60000, np.inf]], np.float16)
    b = np.array([[sign, sign, sign], [sign, sign, -sign], [-sign, sign, 0]], np.float16)
    before = [np.nan, sign * np.inf, np.nan]
    for terms, want in ((1, before), (2, before), (3, [-sign * np.inf, sign * np.inf, np.nan])):
        row = hs.FusedDotAdd(terms=terms, fraction_bits=24, zero_exponent=-20, output=hs.BINARY16, rounding="rne")
        hs.matmul(a, np.zeros_like(b), accumulator=row)
        np.testing.assert_array_equal(hs.matmul(a, b, accumulator=row)[0], want)


def left_to_the_general_loop(monkeypatch, a, b, row):
    """Return the elements, in order, that the general loop computed, having checked the product."""
    counted = []
    general = product._compute_general
    with monkeypatch.context() as patch:
        patch.setattr(product, "_compute_general", lambda *all: counted.extend(all[3]) or general(*all))
        got = hs.matmul(a, b, accumulator=row)
        patch.setattr(product, "plan", lambda accumulator, plan=product.plan: plan(accumulator)._replace(fast=None))
        elements = list(counted)
        np.testing.assert_array_equal(got, hs.matmul(a, b, accumulator=row))
    return np.array(elements)


@pytest.mark.parametrize("fmt", EDGES, ids=lambda fmt: fmt.name)
def test_numbers_outside_the_window_are_left_to_the_general_loop(fmt, monkeypatch):
    row = hs.FusedDotAdd(terms=4, fraction_bits=24, zero_exponent=-132, inputs=fmt)
    edges = 2.0 ** np.array([-126, -125, -60, 46, 47, 48, 127])
    top = 2 - 2.0 ** -EDGES[fmt]
    values = np.concatenate([edges, edges * top, [0.0, 2.0**-127, 2.0**-130, np.inf, np.nan]]).astype(np.float32)
    values = np.concatenate([values, -values])
    a, b = np.ones((len(values), 9), np.float32), np.ones((9, 50), np.float32)
    a[:, 4] = values
    hs.matmul(a[:1] * 0, b, accumulator=row)
    b[7, 30] = 2.0**48
    size = abs(values)
    inside = (size >= 2.0**-126) & (size < 2.0**48) | (values == 0) | ~np.isfinite(values)
    rows, columns = np.divmod(left_to_the_general_loop(monkeypatch, a, b, row), 50)
    assert np.array_equal(np.unique(rows[columns != 30]), np.flatnonzero(~inside))
    assert np.array_equal(rows[columns == 30], np.arange(len(values)))


@pytest.mark.parametrize("fmt", EDGES, ids=lambda fmt: fmt.name)
def test_blocks_of_tiny_products_are_left_to_the_general_loop(fmt, monkeypatch):
    """One block in the middle whose exponent is given; what surrounds it does not matter, zeros do not count."""
    row = hs.FusedDotAdd(terms=4, fraction_bits=25, zero_exponent=-133, inputs=fmt)
    exponents = np.array([-180, -98, -97, -96, -95, -40])
    a, b = np.ones((len(exponents), 12), np.float32), np.ones((12, 40), np.float32)
    a[:, 4:8] = np.ldexp(np.float32(1.75), exponents + 60)[:, None]
    a[:, 5] = 0
    b[4:8] = 2.0**-60
    b[4:8, 7] = 0
    elements = left_to_the_general_loop(monkeypatch, a, b, row)
    rows, columns = np.divmod(elements, 40)
    assert 7 not in columns
    assert np.array_equal(rows, np.repeat([0, 1, 2], 39))


@pytest.mark.parametrize("fmt", [hs.BINARY16, hs.E5M2, hs.E4M3, hs.BFLOAT16, hs.TF32], ids=lambda fmt: fmt.name)
def test_every_number_of_a_format_is_decoded(fmt):
    """Every pattern times one, alone in its block, against the conversion to binary32."""
    row = hs.FusedDotAdd(terms=1, fraction_bits=24, zero_exponent=-133, inputs=(fmt, hs.BINARY16))
    words = np.arange(1 << fmt.width, dtype=np.int64)
    patterns = words.astype(np.uint16 if fmt.width <= 16 else np.uint32).reshape(1, -1, 1)
    one = np.full((1, 1, 1), 0x3C00, np.uint16)
    got, _ = product.evaluate(product.plan(row), Operands(patterns, one, ONE, ONE), None, False)
    want = held(words, fmt).astype(np.float32).reshape(-1)
    want[want == 0] = 0.0
    np.testing.assert_array_equal(got.reshape(-1), want)
    assert not np.signbit(got.reshape(-1)[want == 0]).any()


def test_a_format_that_binary32_does_not_multiply_exactly_is_not_vectorised():
    wide = hs.Format("E8M13", 22, 14, -126, 127)
    assert units.block(hs.FusedDotAdd(terms=4, fraction_bits=20, zero_exponent=-140, inputs=wide)) is None


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
@pytest.mark.parametrize("name", ["h100:f32", "h100:f16", "h100:f32:bf16"])
def test_blocks_fill_the_registers_of_the_processor(name):
    """Products are scaled and cut in the widest registers there are, never one by one."""
    row = hs.tensorcores.as_accumulator(name)
    case = tile("normal", row.inputs, output(row), 5, 2, 16, 80)
    both(row, case)
    compiled = numba.njit(error_model="numpy")(fused._fused.py_func)
    kinds = row.output.width, 8 * product.plan(row).fast_extra[0].codes.itemsize
    chosen = type(product.plan(row).fast_extra[0].sum)
    compiled.compile(
        next(
            s
            for s in fused._fused.signatures
            if kinds == (s[4].dtype.bitwidth, s[7][-1].dtype.bitwidth) and s[7][-2].instance_class is chosen
        )
    )
    (assembly,) = compiled.inspect_asm().values()
    widest, registers = ("z", 4) if has_feature("avx512bw") else ("y", 2) if has_feature("avx2") else ("x", 4)
    # Two rows, in each half of a block and for C.
    assert len(re.findall(rf"cvttps2dq\s.*%{widest}mm", assembly)) >= 2 * 3 * registers
    assert not re.search(r"cvttss2si", assembly)
