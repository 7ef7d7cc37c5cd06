from __future__ import annotations

import gc
import math
import weakref
from dataclasses import replace

import gmpy2
import numpy as np
import pytest

import halfsim as hs
from halfsim.formats import BFLOAT16, BINARY16, BINARY32
from halfsim.kernels import elementary
from halfsim.training.arithmetic import arithmetic
from halfsim.training.binary32 import product32

RANDOM = np.random.default_rng(20)


def all_binary16() -> np.ndarray:
    return np.arange(1 << 16, dtype=np.uint32).astype(np.uint16).view(np.float16)


@pytest.mark.parametrize("name", ["exp", "log"])
def test_binary16_exp_and_log_are_correctly_rounded_for_every_input(name: str) -> None:
    x = all_binary16()
    x = x[~np.isnan(x)]
    got = getattr(arithmetic(BINARY16), name)(x)
    function = getattr(gmpy2, name)
    with gmpy2.context(gmpy2.get_context(), precision=11, emin=-23, emax=16, subnormalize=True):
        expected = np.array([float(function(gmpy2.mpfr(float(v), 53))) for v in x])
    assert np.array_equal(got.astype(np.float64), expected, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("exp", RANDOM.uniform(-740, 709, 20_000)),
        ("exp", RANDOM.normal(0, 1, 20_000)),
        ("log", np.exp(RANDOM.uniform(-700, 700, 20_000))),
        ("log", RANDOM.uniform(0.5, 2, 20_000)),
    ],
    ids=["exp wide", "exp narrow", "log wide", "log narrow"],
)
def test_binary64_exp_and_log_are_as_close_as_they_say(name: str, x: np.ndarray) -> None:
    y = np.empty_like(x)
    getattr(elementary, name)(x, y)
    with gmpy2.context(gmpy2.get_context(), precision=100):
        exact = [getattr(gmpy2, name)(gmpy2.mpfr(float(v))) for v in x]
    errors = [
        abs(float(gmpy2.mpfr(float(a)) - b)) / max(math.ulp(float(b)), 2.0**-1074)
        for a, b in zip(y, exact, strict=True)
    ]
    assert max(errors) < {"exp": 2, "log": 3}[name]


def test_the_positive_part_is_the_maximum_with_zero_for_every_binary16_number() -> None:
    x = all_binary16()
    quiet = x[~np.asarray(hs.issignaling(x))]
    assert np.array_equal(
        hs.to_bits(arithmetic(BINARY16).positive_part(quiet)), hs.to_bits(hs.maximum(quiet, np.float16(0)))
    )


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_binary16_tanh_and_sigmoid_are_correctly_rounded_for_every_input(name: str) -> None:
    x = all_binary16()
    x = x[np.isfinite(x)]
    got = getattr(arithmetic(BINARY16), name)(x)
    with gmpy2.context(gmpy2.get_context(), precision=200):
        function = {"tanh": gmpy2.tanh, "sigmoid": lambda v: 1 / (1 + gmpy2.exp(-v))}[name]
        exact = [function(gmpy2.mpfr(float(v))) for v in x]
    with gmpy2.context(gmpy2.get_context(), precision=11, emin=-23, emax=16, subnormalize=True):
        expected = np.array([float(gmpy2.mpfr(v, 11)) for v in exact])
    assert np.array_equal(got.astype(np.float64), expected)
    assert np.array_equal(np.signbit(got), np.signbit(x) if name == "tanh" else np.zeros(x.size, bool))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 64, 1001])
def test_a_tree_of_sums_is_that_of_the_pairwise_accumulator(length: int, axis: int) -> None:
    random = np.random.default_rng(length)
    x = random.normal(0, 1, (length, 3) if axis == 0 else (3, length)).astype(np.float16)
    for rounding in ("rne", "rtz", "odd"):
        row = hs.Pairwise(format=BINARY16, rounding=rounding)
        expected = hs.sum(x, axis, accumulator=row, keepdims=True)
        assert np.array_equal(hs.to_bits(arithmetic(row).sum(x, axis)), hs.to_bits(expected))
    wide = arithmetic(hs.Pairwise(format=BINARY32)).sum(x.astype(np.float32), axis)
    assert np.array_equal(wide, hs.sum(x, axis, accumulator=hs.Pairwise(format=BINARY32), keepdims=True))


def test_roundings_and_flushing_reach_every_operation() -> None:
    random = np.random.default_rng(5)
    x, y = random.normal(0, 2**-12, (2, 500)).astype(np.float16)
    for rounding in (hs.Rounding.roundTowardPositive, hs.Rounding.roundToOdd):
        r = arithmetic(BINARY16, rounding, flush_to_zero=True)
        how = {"rounding": rounding, "environment": replace(hs.IEEE, flush_inputs=True, flush_results=True)}
        for name in ("add", "subtract", "multiply", "divide"):
            expected = getattr(hs, name)(x, y, **how)
            assert np.array_equal(hs.to_bits(getattr(r, name)(x, y)), hs.to_bits(expected)), name
        size = np.abs(x.astype(np.float64))
        for stored in (r.convert(x.astype(np.float32)), r.convert(x)):
            assert np.array_equal(stored == 0, size < 2**-14)
            assert np.array_equal(np.signbit(stored), np.signbit(x))


def test_stochastic_operations_ask_for_new_words() -> None:
    asked = []

    def draw(rounding: hs.Stochastic, elements: int) -> hs.Stochastic:
        asked.append(elements)
        return replace(rounding, offset=sum(asked) - elements)

    r = arithmetic(BINARY16, hs.Stochastic(bits=8, seed=3), draw=draw)
    x = np.full((4, 1), 1 / 3, np.float32)
    first, second = r.convert(x), r.convert(x)
    r.add(first, np.ones(5, np.float16))
    assert asked == [4, 4, 20]
    expected = hs.convert(np.full(8, 1 / 3, np.float32), BINARY16, rounding=hs.Stochastic(bits=8, seed=3))
    assert np.array_equal(np.concatenate([first, second]).reshape(-1), expected)


def test_special_cases_of_exp_and_log() -> None:
    r = arithmetic(BINARY32)
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 100.0, -200.0], np.float32)
    with np.errstate(over="ignore"):
        assert np.array_equal(r.exp(x), np.float32([1, 1, np.inf, 0, np.nan, np.inf, 0]), equal_nan=True)
    assert np.array_equal(
        r.log(np.float32([0.0, -0.0, 1.0, np.inf, -1.0, np.nan])),
        np.float32([-np.inf, -np.inf, 0, np.inf, np.nan, np.nan]),
        equal_nan=True,
    )


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_binary32_operations_are_correctly_rounded(name: str) -> None:
    random = np.random.default_rng(22)
    # 53 bits are enough to round a binary32 sum, product or quotient twice without harm.
    bits = random.integers(0, 1 << 32, (2, 50_000), dtype=np.uint64).astype(np.uint32)
    a, b = bits.view(np.float32)
    with np.errstate(all="ignore"):
        got = getattr(arithmetic(BINARY32), name)(a, b)
        expected = getattr(np, name)(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)
    normal = ~(np.abs(expected) < 2.0**-126)  # below it, binary64 rounds at another place
    assert np.array_equal(got[normal], expected[normal], equal_nan=True)


@pytest.mark.parametrize(("rows", "terms", "columns"), [(3, 7, 5), (9, 4, 2), (1, 1, 1), (600, 3, 4), (2, 0, 3)])
def test_product32_rounds_every_product_and_sum_in_ascending_order(rows: int, terms: int, columns: int) -> None:
    random = np.random.default_rng(22)
    a = random.normal(0, 1, (rows, terms)).astype(np.float32)
    b = random.normal(0, 1, (terms, columns)).astype(np.float32)
    c = random.normal(0, 1, columns).astype(np.float32)
    expected = np.broadcast_to(c, (rows, columns)).astype(np.float32)
    for k in range(terms):
        expected = expected + a[:, k : k + 1] * b[k]
    assert np.array_equal(product32(a, b, c), expected)


def test_the_order_of_a_binary32_sum_matters_and_is_ascending() -> None:
    x = np.float32([[2.0**24], [1.0], [1.0]])
    r = arithmetic(BINARY32)
    assert r.sum(x, 0).item() == 2**24
    assert r.sum(x[::-1], 0).item() == 2**24 + 2
    assert r.sum(x.T, 1).item() == 2**24


def test_a_binary16_sum_stalls_where_it_should() -> None:
    r = arithmetic(BINARY16)
    assert r.sum(np.ones((4096, 1), np.float16), 0).item() == 2048
    assert r.sum(np.full((1, 10), 0.1, np.float16), 1).dtype == np.float16


def test_other_formats_are_refused() -> None:
    with pytest.raises(ValueError, match="BINARY16 or"):
        arithmetic(BFLOAT16)


def test_what_draws_nothing_is_made_once_and_what_draws_is_let_go():
    assert arithmetic(hs.BINARY16) is arithmetic(hs.BINARY16)
    assert arithmetic(hs.BINARY16, flush_to_zero=True) is not arithmetic(hs.BINARY16)

    def draw(rounding, elements):
        return rounding

    made, left = arithmetic(hs.BINARY16, hs.Stochastic(bits=8, seed=1), draw=draw), weakref.ref(draw)
    assert made.convert(np.float32([1.0]))[0] == 1
    del made, draw
    gc.collect()
    assert left() is None
