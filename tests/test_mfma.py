"""The accumulators of AMD's matrix units: what their fields accept, and the front door around them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import halfsim as hs
from halfsim.accumulators import MatrixUnit, factor_formats
from halfsim.rounding import Rounding

EXACT = {"terms": 4}
PAIRWISE = {"terms": 4, "depth": 16}
STAGES = {"terms": 8, "term_bits": 24, "product_bits": 32, "addend_bits": 24, "total_bits": 31}
KINDS = [(hs.ExactDotAdd, EXACT), (hs.PairwiseDotAdd, PAIRWISE), (hs.TwoStageDotAdd, STAGES)]
BINARY8 = hs.Format("binary8", 8, 3, -14, 15)


@pytest.mark.parametrize(("make", "fields"), KINDS)
def test_rows_are_frozen_keyword_only_and_equal_by_value(make, fields):
    row = make(**fields)
    assert row == make(**fields, rounding="roundTiesToEven", source="a paper", evidence="some")
    assert hash(row) == hash(make(**{name: np.int64(value) for name, value in fields.items()}))
    assert all(type(getattr(make(**{n: np.int64(v) for n, v in fields.items()}), name)) is int for name in fields)
    assert row.rounding is Rounding.roundTiesToEven and row.output == hs.BINARY32
    assert row.inputs == factor_formats(row) == (hs.BINARY16, hs.BINARY16)
    assert make(**fields, inputs=hs.BFLOAT16).inputs == (hs.BFLOAT16, hs.BFLOAT16)
    assert row != make(**fields, inputs=(hs.BINARY16, hs.BFLOAT16))
    assert isinstance(row, MatrixUnit)
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.terms = 3
    with pytest.raises(TypeError):
        make(4)


@pytest.mark.parametrize(("make", "fields"), KINDS)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"terms": 0}, ValueError, "terms=0 must be an integer from 1 to 1024"),
        ({"terms": True}, ValueError, "terms=True must be an integer"),
        ({"terms": 4.0}, ValueError, "terms=4.0 must be an integer"),
        ({"output": hs.BINARY64}, ValueError, "output=binary64 has precision 53; pass a format of at most 24 bits"),
        ({"output": hs.E4M3}, ValueError, "output=E4M3 has no infinity"),
        ({"output": "binary32"}, TypeError, "output='binary32' is a str; pass a halfsim.Format"),
        ({"inputs": "bf16"}, TypeError, "inputs='bf16' is a str; pass a halfsim.Format such as BFLOAT16, or a pair"),
        ({"inputs": (hs.BINARY16,) * 3}, TypeError, "inputs=.* is a tuple; pass a halfsim.Format"),
        ({"inputs": hs.BINARY64}, ValueError, "inputs=binary64 has numbers that binary32 has not"),
        ({"rounding": "up"}, ValueError, "unknown rounding 'up'"),
    ],
)
def test_bad_fields_are_named(make, fields, change, error, message):
    with pytest.raises(error, match=f"^{make.__name__}: {message}"):
        make(**{**fields, **change})


@pytest.mark.parametrize(
    ("make", "fields", "change", "error", "message"),
    [
        (*KINDS[0], {"inputs": hs.BINARY32}, ValueError, "inputs=binary32, binary32 have products of 48 bits"),
        (*KINDS[1], {"depth": 18}, ValueError, "depth=18 is not a multiple of terms=4"),
        (*KINDS[1], {"depth": 0}, ValueError, "depth=0 must be an integer from 1 to 1048576"),
        (*KINDS[1], {"environment": True}, TypeError, "environment=True is a bool; pass a halfsim.Environment"),
        (*KINDS[1], {"rounding": hs.Stochastic(bits=3, seed=1)}, ValueError, "rounding=Stochastic.* is not defined"),
        (*KINDS[2], {"term_bits": 41}, ValueError, "term_bits=41 must be an integer from 1 to 40"),
        (*KINDS[2], {"product_bits": 0}, ValueError, "product_bits=0 must be an integer from 1 to 40"),
        (*KINDS[2], {"addend_bits": 2.5}, ValueError, "addend_bits=2.5 must be an integer"),
        (*KINDS[2], {"total_bits": 63}, ValueError, "total_bits=63 must be an integer from 1 to 62"),
        (*KINDS[2], {"align": hs.Stochastic(bits=3, seed=1)}, ValueError, "align=Stochastic.* is not defined"),
        (*KINDS[2], {"join": "down"}, ValueError, "unknown rounding 'down'"),
    ],
)
def test_bad_fields_of_one_kind_are_named(make, fields, change, error, message):
    with pytest.raises(error, match=f"^{make.__name__}: {message}"):
        make(**{**fields, **change})


@pytest.mark.parametrize(("make", "fields"), KINDS)
def test_matrix_units_have_no_flags(make, fields):
    ones = np.ones(3, np.float16)
    with pytest.raises(ValueError, match=f"dot.flagged: {make.__name__} has no flags, as matrix units raise none"):
        hs.dot.flagged(ones, ones, accumulator=make(**fields))


@pytest.mark.parametrize(("make", "fields"), KINDS)
def test_factors_of_another_format_are_refused(make, fields):
    ones = np.ones(3, np.float16)
    row = make(**fields, inputs=hs.BFLOAT16)
    with pytest.raises(TypeError, match=rf"float16 array, but {make.__name__}\(inputs=bfloat16\) takes bfloat16"):
        hs.dot(ones, ones, accumulator=row)
    with pytest.raises(ValueError, match="which is no bfloat16 number"):
        hs.dot(np.float32([1 + 2**-8]), np.float32([1]), accumulator=row)
    assert hs.dot(np.float32([1.5]), np.float32([1.5]), accumulator=row) == 2.25


@pytest.mark.parametrize(("make", "fields"), KINDS)
def test_the_widest_and_the_longest_rows_are_exact_where_they_must_be(make, fields):
    # Full blocks of the largest magnitudes, whose sums have the most carries.
    fields = {**fields, "terms": 1024}
    if make is hs.PairwiseDotAdd:
        fields["depth"] = 1024
    elif make is hs.TwoStageDotAdd:
        fields |= {"term_bits": 40, "product_bits": 40, "addend_bits": 40, "total_bits": 62}
    for inputs, value in ((hs.BINARY16, 65504.0), (hs.BFLOAT16, 2.0**58), (BINARY8, 57344.0)):
        x = np.full(2048, value, np.float16 if inputs == hs.BINARY16 else np.float32)
        for sign in (1, -1):
            d = hs.dot(sign * x, x, np.float32(sign * 2.0**40), accumulator=make(**fields, inputs=inputs))
            exact = sign * (2048 * value * value + 2.0**40)
            assert d == np.float32(exact)
