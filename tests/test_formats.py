"""Formats as rows: what they derive, what they refuse."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import halfsim as hs
from halfsim.formats import Format, Specials
from tests.oracles.rational import decode

SMALL = [
    hs.E5M2,
    hs.E4M3,
    Format("E4M3 of IEEE", 8, 4, -6, 7),
    Format("E4M3 without specials", 8, 4, -6, 8, Specials.none),
    Format("E5M3", 9, 4, -14, 15),
    Format("E3M4", 8, 5, -2, 3),
    Format("E2M1", 4, 2, 0, 2, Specials.none),
    hs.BINARY16,
]


@pytest.mark.parametrize(
    ("fmt", "dtype"),
    [
        (hs.BINARY16, np.float16),
        (hs.BINARY32, np.float32),
        (hs.BINARY64, np.float64),
        (hs.BFLOAT16, ml_dtypes.bfloat16),
        (hs.E5M2, ml_dtypes.float8_e5m2),
        (hs.E4M3, ml_dtypes.float8_e4m3fn),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_limits_equal_those_of_the_dtype(fmt, dtype):
    info = ml_dtypes.finfo(dtype)
    assert fmt.width == info.bits
    assert fmt.precision == info.nmant + 1
    assert fmt.largest == float(info.max)
    assert fmt.smallest_normal == float(info.tiny)
    assert fmt.smallest_subnormal == float(info.smallest_subnormal)


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        (("a", 16, 11.0, -14, 15), TypeError, "precision=11.0 is of type float; pass an integer"),
        (("a", True, 11, -14, 15), TypeError, "width=True is of type bool; pass an integer"),
        (("a", 16, 11, -14, 15, "ieee"), TypeError, "specials='ieee' is of type str; pass one of Specials.ieee"),
        (("a", 16, 11, -14, 16), ValueError, "encode exactly 30 normal exponents"),
        (("a", 16, 60, -14, 16), ValueError, "precision must be 2 to 53"),
        (("a", 80, 53, -14, 16), ValueError, "a width of at most 64"),
    ],
)
def test_fields_that_make_no_format(fields, error, said):
    with pytest.raises(error, match=said):
        hs.Format(*fields)


def test_numpy_integers_are_integers():
    assert hs.Format("binary16", *(np.int64(x) for x in (16, 11, -14, 15))) == hs.BINARY16


def test_a_format_is_its_numbers_not_its_name():
    """Arm's alternative half precision under a name that has loops of its own."""
    alternative = hs.Format("binary16", 16, 11, -14, 16, hs.Specials.none)
    assert hs.convert(np.float32([70000, 1e5]), alternative).tolist() == [70016.0, 99968.0]
    assert hs.convert(np.float32([70000, 1e5]), hs.BINARY16).tolist() == [np.inf, np.inf]


def test_a_format_has_normal_numbers():
    with pytest.raises(ValueError, match="leave it two bits at least"):
        hs.Format("w", 4, 3, 1, 0)
    one = hs.Format("one", 4, 3, 1, 1, hs.Specials.none)
    assert hs.convert(np.float32([0.5, 1, 1.7, 2, 3, 3.5, 9]), one).tolist() == [0.5, 1, 1.5, 2, 3, 3.5, 3.5]


@pytest.mark.parametrize("fmt", SMALL, ids=lambda f: f.name)
@pytest.mark.parametrize("other", SMALL, ids=lambda f: f.name)
def test_contains_is_about_every_finite_number(fmt, other):
    numbers, others = (
        {datum.value for datum in (decode(bits, f) for bits in range(1 << f.width)) if datum.kind == "finite"}
        for f in (fmt, other)
    )
    assert fmt.contains(other) == (others <= numbers)
