"""The one rounder against exact rational rounding: every mode, every format, tails and all."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from halfsim.core.fields import layout
from halfsim.core.round import discard, increment, round_pack
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, E4M3, E5M2, TF32, Format, Specials
from tests.checking import control
from tests.oracles import rational

FORMATS = [BINARY16, BINARY32, BINARY64, BFLOAT16, TF32, E5M2, E4M3, Format("E2M1", 4, 2, 0, 2, Specials.none)]


def _magnitudes(fmt, count, seed):
    """(exponent, significand, tail) around every boundary of a format: range ends, ties, one unit off them."""
    rng = np.random.default_rng(seed)
    p = fmt.precision
    for _ in range(count):
        leading = int(rng.choice([fmt.emin - p - 1, fmt.emin - p, fmt.emin - p + 1, fmt.emin - 1, fmt.emin, fmt.emax]))
        leading += int(rng.integers(-2, 3)) if rng.random() < 0.5 else int(rng.integers(0, fmt.emax - fmt.emin))
        extra = int(rng.integers(2, 63 - p)) if p < 60 else 2
        top = int(rng.integers(1 << (p - 1), 1 << p)) if rng.random() < 0.5 else (1 << p) - 1 - int(rng.integers(0, 2))
        below = [0, 1, (1 << (extra - 1)) - 1, 1 << (extra - 1), (1 << (extra - 1)) + 1, (1 << extra) - 1]
        significand = (top << extra) | below[int(rng.integers(0, 6))]
        tail = int(rng.choice([0, 0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1]))
        yield leading - significand.bit_length() + 1, significand, tail


def _twos_complement(bits, fmt):
    return bits % 2**64 if fmt.width == 64 else bits


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
@pytest.mark.parametrize("mode", rational.MODES)
def test_round_pack_equals_exact_rounding(fmt, mode):
    fields = layout(fmt)
    for tininess in ("after", "before"):
        for flush in (False, True):
            machine = replace(rational.IEEE, tininess=tininess, flush_results=flush)
            word = control(rational.Context(mode, machine))
            for number, (exponent, significand, tail) in enumerate(_magnitudes(fmt, 150, seed=fmt.width)):
                sign = number % 2
                value = Fraction(significand * 2**32 + tail, 2**32) * rational._power(exponent)
                want = rational.round_fraction(-value if sign else value, fmt, mode, tininess, flush_results=flush)
                bits, flags = round_pack(sign, exponent, significand, tail, fields, word, 0)
                assert (_twos_complement(bits, fmt), flags) == want, (sign, exponent, hex(significand), hex(tail))


@pytest.mark.parametrize("mode", rational.MODES)
def test_last_bit_of_the_tail_may_be_sticky(mode):
    """A tail ending in 1 stands for anything strictly around it: two such values round alike."""
    fields = layout(BINARY16)
    word = control(rational.Context(mode))
    for exponent, significand, tail in _magnitudes(BINARY16, 400, seed=3):
        if tail % 2:
            for nudge in (Fraction(-1, 2**40), Fraction(0), Fraction(1, 2**40)):
                value = (Fraction(significand * 2**32 + tail, 2**32) + nudge) * rational._power(exponent)
                want = rational.round_fraction(value, BINARY16, mode)
                assert round_pack(0, exponent, significand, tail, fields, word, 0) == want


@pytest.mark.parametrize("fmt", [BINARY16, E4M3, BINARY32], ids=lambda f: f.name)
@pytest.mark.parametrize("bits", [1, 5, 13, 31, 32])
def test_stochastic_round_pack_equals_exact_rounding(fmt, bits):
    fields = layout(fmt)
    rng = np.random.default_rng(bits)
    for exponent, significand, tail in _magnitudes(fmt, 600, seed=bits):
        random = int(rng.choice([0, 1, 2**31, 2**32 - 1, int(rng.integers(0, 2**32))]))
        context = rational.Context("stochastic", random=random, random_bits=bits)
        value = Fraction(significand * 2**32 + tail, 2**32) * rational._power(exponent)
        want = context.round(value, fmt)
        assert round_pack(0, exponent, significand, tail, fields, control(context), random) == want


@pytest.mark.parametrize("fmt", [E4M3, Format("E2M1", 4, 2, 0, 2, Specials.none)], ids=lambda f: f.name)
@pytest.mark.parametrize("mode", rational.MODES)
def test_saturation_of_formats_without_infinity(fmt, mode):
    fields = layout(fmt)
    for saturate in (False, True):
        context = rational.Context(mode, saturate=saturate)
        for leading in range(fmt.emax - 1, fmt.emax + 4):
            for significand in range(1 << fmt.precision, 1 << (fmt.precision + 1)):
                for sign in (0, 1):
                    value = significand * rational._power(leading - fmt.precision)
                    want = context.round(-value if sign else value, fmt)
                    got = round_pack(sign, leading - fmt.precision, significand, 0, fields, control(context), 0)
                    assert got == want


def test_zero_keeps_the_sign_it_is_given():
    for mode in rational.MODES:
        word = control(rational.Context(mode))
        for sign in (0, 1):
            assert round_pack(sign, 5, 0, 0, layout(BINARY16), word, 0) == (sign << 15, 0)


def test_discard_splits_exactly():
    rng = np.random.default_rng(1)
    for shift in [*range(100), 200]:
        for _ in range(20):
            significand = int(rng.integers(0, 2**62)) >> int(rng.integers(0, 62))
            tail = int(rng.choice([0, 1, 2**31, int(rng.integers(0, 2**32))]))
            kept, fraction, sticky = discard(significand, tail, shift)
            total = (significand << 32) | tail
            assert kept == total >> (32 + shift)
            rest = total - (kept << (32 + shift))
            assert fraction == rest >> shift
            assert sticky == (rest & ((1 << shift) - 1) != 0)


def test_discard_of_nothing_appends_zeros():
    assert discard(5, 0, -3) == (40, 0, 0)


@pytest.mark.parametrize("bits", range(1, 11))
def test_increment_counts_every_random_word(bits):
    """Of all 2**bits words, exactly floor(fraction * 2**bits) round up."""
    word = control(rational.Context("stochastic", random_bits=bits))
    rng = np.random.default_rng(bits)
    fractions = [0, 1, 2**31, 2**32 - 1, 2 ** (32 - bits), 2 ** (32 - bits) - 1, *rng.integers(0, 2**32, 12).tolist()]
    for fraction in fractions:
        for sticky in (0, 1):
            ups = sum(increment(word, 0, 0, fraction, sticky, r << (32 - bits)) for r in range(1 << bits))
            assert ups == fraction * 2**bits // 2**32
