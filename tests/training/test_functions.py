"""Functions of binary64 against correctly rounded ones of MPFR: every binary16 input, and binary64's own accuracy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from halfsim.formats import BINARY16
from halfsim.training import functions
from halfsim.training.arithmetic import arithmetic

gmpy2 = pytest.importorskip("gmpy2")

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
FUNCTIONS = {"erf": gmpy2.erf, "erfc": gmpy2.erfc, "sin": gmpy2.sin, "cos": gmpy2.cos}


def exact(reference, x, bits):
    """Return MPFR's values of a function at binary64 numbers, rounded to binary64 from `bits` bits."""
    with gmpy2.context(precision=bits):
        return np.array([float(reference(gmpy2.mpfr(float(v)))) for v in x])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_binary16_input_is_rounded_correctly(name):
    x = EVERY[np.isfinite(EVERY)]
    found = arithmetic(BINARY16).apply(getattr(functions, name), x)
    with np.errstate(over="ignore"):
        expected = exact(FUNCTIONS[name], x, 120).astype(np.float16)
    np.testing.assert_array_equal(found.view(np.uint16), expected.view(np.uint16))


@pytest.mark.parametrize(("name", "ulps"), [("erf", 6), ("sin", 2), ("cos", 2), ("erfc", 2**15)])
def test_binary64_is_near(name, ulps):
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(size=2000), rng.uniform(-25, 25, 2000), 2.0 ** rng.uniform(-60, 4, 2000)])
    expected = exact(FUNCTIONS[name], x, 200)
    found = getattr(functions, name)(x)
    # What a zero of the sine or the end of the range leaves is an absolute error.
    assert (np.abs(found - expected) <= ulps * np.maximum(np.spacing(np.abs(expected)), 2.0**-1060)).all()


def edges_of_exponents(draws):
    """Binary32 numbers of every exponent: its least and largest ones, and others."""
    words = np.random.default_rng(11).integers(0, 1 << 23, (255, draws), np.uint32)
    words[:, :3] = [0, 1, (1 << 23) - 1]
    x = (words | np.arange(255, dtype=np.uint32)[:, None] << np.uint32(23)).view(np.float32)
    return np.concatenate([x, -x]).reshape(-1)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_circular_functions_of_every_exponent_of_binary32(name):
    x = edges_of_exponents(40).astype(np.float64)
    found = functions.sin(x) / functions.cos(x) if name == "tan" else getattr(functions, name)(x)
    expected = exact(getattr(gmpy2, name), x, 120)
    assert (np.abs(found - expected) <= 4 * np.spacing(np.abs(expected))).all()
    # No binary32 number is so near to a multiple of pi / 2 that its rest were inexact, nor is any of these a tie.
    np.testing.assert_array_equal(found.astype(np.float32), expected.astype(np.float32))


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_circular_functions_of_the_largest_binary64_numbers(name):
    draw = np.random.default_rng(12)
    x = np.concatenate([np.ldexp(1 + draw.random(400), draw.integers(18, 1024, 400)), [np.finfo(float).max]])
    # Of all binary64 numbers 6381956970095103 * 2**797 is the nearest to a multiple of pi / 2.
    x = np.concatenate([x, -x, [6381956970095103.0 * 2.0**797]])
    expected = exact(getattr(gmpy2, name), x, 300)
    found = getattr(functions, name)(x)
    assert (np.abs(found - expected) <= 2 * np.spacing(np.abs(expected))).all()


def test_small_and_large_numbers_do_not_hang_on_each_other():
    x = np.array([[2.0**18, np.nextafter(2.0**18, 1e9)], [np.inf, 1e30]])
    for function in (functions.sin, functions.cos):
        alone = [function(np.array([each]))[0] for each in x.reshape(-1)]
        np.testing.assert_array_equal(function(x).reshape(-1), alone)
        np.testing.assert_array_equal(function(x.T), function(x).T)
        assert np.isnan(function(x)).tolist() == [[False, False], [True, False]]


def test_special_cases():
    inf, nan = np.inf, np.nan
    x = np.array([0.0, -0.0, inf, -inf, nan])
    np.testing.assert_array_equal(functions.erf(x), [0.0, -0.0, 1.0, -1.0, nan])
    assert np.signbit(functions.erf(x)[1])
    np.testing.assert_array_equal(functions.erfc(x), [1.0, 1.0, 0.0, 2.0, nan])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(functions.sin(x), [0.0, 0.0, nan, nan, nan])
        np.testing.assert_array_equal(functions.cos(x), [1.0, 1.0, nan, nan, nan])
    assert np.signbit(functions.sin(np.array([-0.0])))[0]


def series(size):
    """The series of erf, one term of all numbers after the other."""
    twice, total = 2.0 * size * size, np.ones_like(size)
    for n in range(60, 0, -1):
        total = 1.0 + total * (twice / (2 * n + 1))
    return 2.0 / math.sqrt(math.pi) * size * functions.exp(-size * size) * total


def fraction(size):
    """The continued fraction of erfc, likewise."""
    bounded = np.minimum(size, 1e3)
    value = bounded
    for n in range(60, 0, -1):
        value = bounded + (0.5 * n) / value
    return functions.exp(-bounded * bounded) / (math.sqrt(math.pi) * value)


def test_error_functions_are_their_series_and_fraction_bit_by_bit():
    """Whatever stands beside a number, and wherever in a block it stands."""
    rng = np.random.default_rng(4)
    edges = [
        0.0,
        5e-324,
        1e-310,
        2.5,
        np.nextafter(2.5, 0),
        np.nextafter(2.5, 3),
        6.0,
        27.5,
        1e3,
        1e308,
        np.inf,
        np.nan,
    ]
    drawn = [rng.standard_normal(20_000), 4 * rng.standard_normal(20_000), rng.uniform(-2.6, -2.4, 999)]
    x = rng.permutation(np.concatenate([*drawn, edges, np.negative(edges)]))
    size = np.abs(x)
    beyond = size >= 2.5
    inner, tail = series(np.where(beyond, 0.0, size)), fraction(np.where(beyond, size, 2.5))
    erf = np.copysign(np.where(np.isnan(x), x, np.where(beyond, 1.0 - tail, inner)), x)
    erfc = np.where(x >= 2.5, tail, 1.0 - erf)
    for first in (0, 1, 63):
        part = slice(first, None)
        assert functions.erf(x[part].copy()).tobytes() == erf[part].tobytes()
        assert functions.erfc(x[part].copy()).tobytes() == erfc[part].tobytes()
