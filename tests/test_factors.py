"""Factors of products: which arrays a row takes, what they stand for, and how others are refused."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

import halfsim as hs
from halfsim.factors import factor, one
from tests.oracles.rational import decode

EXTENSION = {hs.BFLOAT16: ml_dtypes.bfloat16, hs.E5M2: ml_dtypes.float8_e5m2, hs.E4M3: ml_dtypes.float8_e4m3fn}
E2M1 = hs.Format("E2M1", 4, 2, 0, 2, hs.Specials.none)
FORMATS = (hs.BFLOAT16, hs.TF32, hs.E5M2, hs.E4M3, E2M1)
MANY = 1 << 16


def unit(*inputs, **changes):
    row = hs.FusedDotAdd(terms=8, fraction_bits=24, zero_exponent=-132, inputs=inputs if len(inputs) > 1 else inputs[0])
    return replace(row, **changes)


def read(value, fmt, argument="A", position=0):
    row = unit(fmt)
    return factor("matmul", argument, value, position, row, row)


def values(fmt):
    """All patterns of a format, or every corner of TF32, and the float32 numbers they stand for."""
    patterns = np.arange(1 << fmt.width) if fmt.width <= 16 else np.arange(0, 1 << fmt.width, 7)
    data = [decode(int(p), fmt) for p in patterns]
    special = {"finite": None, "infinite": np.inf, "quiet": np.nan, "signaling": np.nan}
    numbers = [float(d.magnitude) if special[d.kind] is None else special[d.kind] for d in data]
    signs = np.array([d.sign for d in data], bool)
    return patterns, np.where(signs, -1.0, 1.0).astype(np.float32) * np.array(numbers, np.float32)


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
def test_every_number_held_in_float32_is_read_as_itself(fmt):
    patterns, held = values(fmt)
    got = read(held, fmt)
    assert got.dtype == (np.uint32 if fmt == hs.TF32 else np.uint16)
    nan = np.isnan(held)
    assert np.array_equal(got[~nan], patterns[~nan])
    assert all(decode(int(bits), fmt).is_nan for bits in got[nan])
    assert read(held.astype(">f4"), fmt).tobytes() == got.tobytes()
    assert read(held[::-3].reshape(1, -1), fmt).tobytes() == got[::-3].tobytes()


@pytest.mark.parametrize("fmt", EXTENSION, ids=lambda f: f.name)
def test_arrays_of_ml_dtypes_are_taken_bit_by_bit(fmt):
    patterns = np.arange(1 << fmt.width).astype(f"u{fmt.width // 8}")
    array = patterns.view(EXTENSION[fmt])
    assert np.array_equal(read(array, fmt), patterns)
    assert np.array_equal(read(array[::-2].reshape(4, -1), fmt), patterns[::-2].reshape(4, -1))
    # The numbers agree with what ml_dtypes says they are.
    finite = np.isfinite(array.astype(np.float32))
    assert np.array_equal(read(array.astype(np.float32), fmt)[finite], patterns[finite])


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
def test_convert_makes_what_a_row_takes(fmt):
    x = np.random.default_rng(1).standard_normal(1000) * 2.0 ** np.random.default_rng(2).integers(-8, 2, 1000)
    rounded = hs.convert(x, fmt)
    assert rounded.dtype == np.float32
    assert np.array_equal(np.float32([float(decode(int(p), fmt).value) for p in read(rounded, fmt)]), rounded)


SIGNALING = np.array([0x7F800001, 0xFFBFFFFF, 0x7FC00000], np.uint32).view(np.float32)


@pytest.mark.parametrize("fmt", FORMATS[:-1], ids=lambda f: f.name)
def test_any_nan_is_a_nan(fmt):
    assert all(decode(int(bits), fmt).is_nan for bits in read(SIGNALING, fmt))


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
def test_numbers_that_the_format_lacks_are_named(fmt):
    # The smallest binary32 number above 1, half a step of the subnormals, and the smallest above the largest.
    missing = [np.nextafter(np.float32(x), np.float32(np.inf)) for x in (1, fmt.largest)]
    missing.append(np.float32(fmt.smallest_subnormal * 0.5))
    missing += [] if fmt.specials == hs.Specials.ieee else [np.float32(np.inf), np.float32(-np.inf)]
    missing += [np.float32(np.nan)] if fmt.specials == hs.Specials.none else []
    for x in missing:
        array = np.ones((3, 4), np.float32)
        array[1, 2:] = x
        message = re.escape(f"matmul: operand A holds {x!s} at (1, 2), which is no {fmt.name} number; FusedDotAdd(")
        with pytest.raises(ValueError, match=message):
            read(array, fmt)
    with pytest.raises(ValueError, match="which is no bfloat16 number; accumulator 'x' takes those, so round it"):
        factor("dot", "B", np.float32([0.1]), 1, unit(hs.BFLOAT16), "x")


A16, A32, A64 = (np.ones((2, 2), dtype) for dtype in (np.float16, np.float32, np.float64))
BRAIN, E4, E5 = (np.ones((2, 2), EXTENSION[fmt]) for fmt in (hs.BFLOAT16, hs.E4M3, hs.E5M2))
REFUSED = [
    (A16, hs.BFLOAT16, "float16 array, but FusedDotAdd.inputs=bfloat16. takes bfloat16; round it first with "
     r"halfsim.convert\(..., halfsim.BFLOAT16\) and pass the bfloat16 of ml_dtypes or float32 values"),
    (A64, hs.TF32, r"float64 array, .*halfsim.convert\(..., halfsim.TF32\) and pass float32 values"),
    (E5, hs.E4M3, "float8_e5m2 array, but .*takes E4M3.*the float8_e4m3fn of ml_dtypes or float32"),
    (BRAIN, hs.TF32, "bfloat16 array, but .*takes TF32"),
    (1.0, hs.E5M2, "Python float, but .*takes E5M2"),
    (A16.view(np.uint16), hs.BFLOAT16, "uint16 array, but .*takes bfloat16"),
    (BRAIN, hs.BINARY32, r"bfloat16 array, but .*takes binary32; .*halfsim.convert\(..., halfsim.BINARY32\)"),
    (A16, E2M1, r"float16 array, but .*takes E2M1; round it first with halfsim.convert\(..., E2M1\) and pass float32"),
    (BRAIN, hs.BINARY16, "bfloat16 array, but .*takes binary16; .*or choose a tensor core whose inputs are bfloat16"),
    (E4, hs.BINARY16, "float8_e4m3fn array, but .*takes binary16; .*or choose a tensor core whose inputs are E4M3"),
    (A32, hs.BINARY16, r"float32 array, not float16; round it first with halfsim.convert\(..., halfsim.BINARY16\)"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "fmt", "message"), REFUSED)
def test_other_dtypes_are_refused_with_the_way_out(value, fmt, message):
    with pytest.raises(TypeError, match="matmul: operand A is of type " + message) as caught:
        read(value, fmt)
    assert "\n" not in str(caught.value)


def test_products_name_the_accumulator_as_the_caller_did():
    with pytest.raises(TypeError, match=r"operand B is of type bfloat16 array, but accumulator 'h100:f32' takes bin"):
        hs.matmul(A16, BRAIN, accumulator="h100:f32")
    with pytest.raises(TypeError, match="dot: operand A is of type bfloat16 array, but Sequential takes binary16"):
        hs.dot(BRAIN, BRAIN, accumulator=hs.FP16)
    with pytest.raises(TypeError, match=r"sum: operand x is .* float16 array, but FusedDotAdd.inputs=E4M3 and E5M2"):
        hs.sum(A16, accumulator=unit(hs.E4M3, hs.E5M2))


def test_each_factor_has_its_own_format():
    row = unit(hs.E4M3, hs.BFLOAT16)
    assert hs.matmul(E4, BRAIN * 3, accumulator=row).tolist() == [[6, 6], [6, 6]]
    assert hs.matmul(E4.astype(np.float32), BRAIN * 3, accumulator=row).tolist() == [[6, 6], [6, 6]]
    with pytest.raises(TypeError, match=r"operand A is .*bfloat16 array, but FusedDotAdd\(inputs=E4M3 and bfloat16\)"):
        hs.matmul(BRAIN, E4, accumulator=row)


@pytest.mark.parametrize("fmt", [*FORMATS, hs.BINARY16, hs.BINARY32], ids=lambda f: f.name)
def test_one_is_the_pattern_of_one(fmt):
    assert decode(int(one("sum", fmt)), fmt).value == 1


def test_a_format_without_one_cannot_be_summed():
    high = hs.Format("high", 8, 4, 1, 15, hs.Specials.nan_only)
    with pytest.raises(ValueError, match="sum: high has no normal number 1"):
        hs.sum(np.float32([2, 4]), accumulator=unit(high))


WITHOUT = """
import sys
sys.modules["ml_dtypes"] = None
import numpy as np, halfsim as hs
row = hs.FusedDotAdd(terms=8, fraction_bits=24, zero_exponent=-132, inputs=hs.BFLOAT16)
print(hs.matmul(np.float32([[1.5, 2]]), np.float32([[2], [0.25]]), accumulator=row)[0, 0])
"""


def test_ml_dtypes_need_not_be_installed():
    run = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert run.stdout == "3.5\n"


def test_many_values_are_read_in_parallel():
    x = hs.convert(np.random.default_rng(3).standard_normal(5 * MANY), hs.TF32)
    before = hs.get_num_threads()
    try:
        hs.set_num_threads(2)
        assert np.array_equal(read(x, hs.TF32), x.view(np.uint32) >> 13)
        x[-1] = 0.1
        with pytest.raises(ValueError, match=rf"holds 0.1 at \({5 * MANY - 1},\)"):
            read(x, hs.TF32)
    finally:
        hs.set_num_threads(before)
