"""Accumulator rows: what they accept, what they refuse, and that equal rows are equal."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from halfsim import accumulators
from halfsim.accumulators import (
    FP16,
    FP32,
    Compensated,
    Exact,
    FusedDotAdd,
    Pairwise,
    Sequential,
    factor_formats,
)
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, E4M3, E5M2, TF32, Format
from halfsim.rounding import Rounding, Stochastic

ROWS = (Sequential, Pairwise, Compensated, Exact)


def test_the_predefined_rows():
    assert Sequential(format=BINARY16, fused=True) == FP16
    assert Sequential(format=BINARY32, rounding="roundTiesToEven", fused=True) == FP32
    assert Sequential() == Sequential(format=BINARY32, rounding="rne", fused=False)


@pytest.mark.parametrize("make", ROWS)
def test_a_rounding_may_be_a_name(make):
    assert make(rounding="rtz").rounding is Rounding.roundTowardZero
    assert make(rounding="roundToOdd").rounding is Rounding.roundToOdd
    stochastic = Stochastic(bits=3, seed=1)
    assert make(rounding=stochastic).rounding is stochastic
    assert make(rounding="rup") == make(rounding=Rounding.roundTowardPositive)
    assert hash(make(rounding="rup")) == hash(make(rounding=Rounding.roundTowardPositive))


@pytest.mark.parametrize("make", ROWS)
def test_rows_are_frozen_and_keyword_only(make):
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().rounding = Rounding.roundToOdd
    with pytest.raises(TypeError):
        make(BINARY16)


@pytest.mark.parametrize("make", ROWS)
def test_bad_fields_are_named(make):
    with pytest.raises(ValueError, match=f"{make.__name__}: unknown rounding 'up'; known are roundTiesToEven"):
        make(rounding="up")
    with pytest.raises(TypeError, match=f"{make.__name__}: format='binary16' is a str; pass a halfsim.Format"):
        make(format="binary16")
    with pytest.raises(ValueError, match=f"{make.__name__}: format=E4M3 has no infinity"):
        make(format=E4M3)


BLOCK = {"terms": 8, "fraction_bits": 24, "zero_exponent": -132}


def test_a_block_has_the_defaults_of_a_tensor_core():
    row = FusedDotAdd(**BLOCK)
    assert (row.align, row.output, row.rounding) == (Rounding.roundTowardZero, BINARY32, Rounding.roundTowardZero)
    assert row == FusedDotAdd(**BLOCK, align="rtz", source="a paper", evidence="some")
    assert FusedDotAdd(**BLOCK, rounding=Stochastic(bits=8, seed=0)).rounding == Stochastic(bits=8, seed=0)


def test_one_format_of_inputs_stands_for_both_factors():
    row = FusedDotAdd(**BLOCK)
    assert row.inputs == (BINARY16, BINARY16)
    assert factor_formats(row) == factor_formats(FP16) == factor_formats(Exact()) == (BINARY16, BINARY16)
    brain = FusedDotAdd(**BLOCK, inputs=BFLOAT16)
    assert brain.inputs == factor_formats(brain) == (BFLOAT16, BFLOAT16)
    assert brain == FusedDotAdd(**BLOCK, inputs=(BFLOAT16, BFLOAT16)) != row
    mixed = dataclasses.replace(brain, inputs=(E4M3, E5M2))
    assert mixed.inputs == (E4M3, E5M2)
    assert mixed != dataclasses.replace(brain, inputs=(E5M2, E4M3))
    assert hash(dataclasses.replace(mixed, inputs=BFLOAT16)) == hash(brain)


@pytest.mark.parametrize("inputs", ["bf16", (TF32,), (TF32, "tf32"), None, [TF32, TF32, TF32]])
def test_inputs_that_are_no_formats_are_refused(inputs):
    with pytest.raises(TypeError, match=r"FusedDotAdd: inputs=.* is a (str|tuple|NoneType|list); pass a"):
        FusedDotAdd(**BLOCK, inputs=inputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"terms": 0}, "FusedDotAdd: terms=0 must be an integer from 1 to 1024"),
        ({"terms": True}, "FusedDotAdd: terms=True must be an integer"),
        ({"terms": np.int64(2000)}, "FusedDotAdd: terms=np.int64.2000. must be an integer from 1 to 1024"),
        ({"terms": 8.0}, "FusedDotAdd: terms=8.0 must be an integer"),
        ({"fraction_bits": 49}, "FusedDotAdd: fraction_bits=49 must be an integer from 1 to 48"),
        ({"zero_exponent": 101}, "FusedDotAdd: zero_exponent=101 must be an integer from -1000 to 100"),
        ({"output": BINARY64}, "FusedDotAdd: output=binary64 has precision 53; pass a format of at most 24 bits"),
        ({"align": Stochastic(bits=1, seed=0)}, "FusedDotAdd: align=Stochastic"),
        ({"inputs": BINARY64}, "FusedDotAdd: inputs=binary64 has numbers that binary32 has not; pass formats that"),
        ({"inputs": (E4M3, Format("E9M2", 12, 3, -254, 255))}, "FusedDotAdd: inputs=E9M2 has numbers that binary32"),
        ({"align": "nearest"}, "FusedDotAdd: unknown rounding 'nearest'"),
    ],
)
def test_bad_blocks_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        FusedDotAdd(**{**BLOCK, **change})


def test_numpy_integers_are_integers():
    row = FusedDotAdd(**{name: np.int64(value) for name, value in BLOCK.items()})
    assert row == FusedDotAdd(**BLOCK)
    assert all(type(getattr(row, name)) is int for name in BLOCK)


def test_the_vocabulary_is_complete():
    for name in accumulators.__all__:
        assert hasattr(accumulators, name)
