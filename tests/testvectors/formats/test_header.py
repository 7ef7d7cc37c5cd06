"""Headers say everything that rows need, and are read back as they were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import halfsim as hs
from halfsim.environment import DefaultNaN, InvalidInteger, NaNOperand, NaNRule
from halfsim.testvectors.formats import (
    FLAG_ORDERS,
    Header,
    environment_name,
    environment_of,
    rounding_name,
    rounding_of,
)

RULES = st.builds(
    NaNRule,
    default=st.sampled_from(DefaultNaN),
    operand=st.sampled_from(NaNOperand),
    addend_first=st.booleans(),
    inf_times_zero_invalid=st.booleans(),
    pass_binary64=st.booleans(),
)
ENVIRONMENTS = st.builds(
    hs.Environment,
    tininess=st.sampled_from(hs.Tininess),
    nan=RULES,
    flush_inputs=st.booleans(),
    flush_results=st.booleans(),
    flush_inexact=st.booleans(),
    invalid_integer=st.sampled_from(InvalidInteger),
)
ROUNDINGS = st.one_of(
    st.sampled_from(hs.Rounding),
    st.builds(
        hs.Stochastic,
        bits=st.integers(1, 32),
        seed=st.integers(0, 2**64 - 1),
        offset=st.integers(0, 2**62),
    ),
)


@given(ENVIRONMENTS)
def test_environments_survive(environment):
    assert environment_of(environment_name(environment)) == environment


def test_presets_are_named():
    for name in ("IEEE", "RISCV", "ARM", "ARM_DEFAULT_NAN", "X86", "CUDA"):
        assert environment_name(getattr(hs, name)) == name


@given(ROUNDINGS)
def test_roundings_survive(rounding):
    assert rounding_of(rounding_name(rounding)) == rounding


@pytest.mark.parametrize("text", ["stochastic", "stochastic:33:1", "stochastic:8", "stochastic:a:b", "rnd"])
def test_unknown_roundings_are_refused(text):
    with pytest.raises(ValueError, match=r"^f: .*(rounding|Stochastic)"):
        rounding_of(text, "f")


@given(
    ENVIRONMENTS,
    ROUNDINGS,
    st.sampled_from([("f16",), ("f16", "f16"), ("f16", "f16", "f16"), ("ui64",)]),
    st.sampled_from(["f16", "bool", "i32", "e4m3"]),
    st.sampled_from(["exact", "any"]),
    st.sampled_from([order.name for order in FLAG_ORDERS]),
    st.integers(0, 10**12),
    st.one_of(st.none(), st.integers(0, 2**64 - 1)),
)
def test_headers_survive(environment, rounding, operands, result, nan, order, rows, seed):
    header = Header(
        operation="fma",
        operands=operands,
        result=result,
        rounding=rounding,
        environment=environment,
        options=("exact",),
        flag_order=order,
        nan=nan,
        rows=rows,
        seed=seed,
        families=("ties", "uniform"),
        version="1.2",
    )
    assert Header.from_lines(header.lines()) == header


# Where each register has its flags: RISC-V fflags, Intel SDM (MXCSR), Arm ARM (FPSR).
WEIGHTS = {
    "testfloat": {"inexact": 1, "underflow": 2, "overflow": 4, "divideByZero": 8, "invalid": 16},
    "mxcsr": {"invalid": 1, "divideByZero": 4, "overflow": 8, "underflow": 16, "inexact": 32},
    "fpsr": {"invalid": 1, "divideByZero": 2, "overflow": 4, "underflow": 8, "inexact": 16},
}


@pytest.mark.parametrize("order", FLAG_ORDERS, ids=lambda order: order.name)
def test_flag_orders(order):
    every = np.arange(32, dtype=np.uint8)
    words = order.encode(every)
    for bits, word in zip(every, words, strict=True):
        assert word == sum(WEIGHTS[order.name][flag.name] for flag in hs.Flags(int(bits)))
    assert np.array_equal(order.decode(words), every)
    others = np.setdiff1d(np.arange(256), words).astype(np.uint8)
    assert (order.decode(others) == -1).all()
