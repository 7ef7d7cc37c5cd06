"""Stochastic rounding: every random word enumerated, unbiased, the same for any chunking and number of threads."""

from __future__ import annotations

from fractions import Fraction

import gfloat
import gfloat.formats
import numpy as np
import pytest

import halfsim as hs
from halfsim.core.fields import F16, layout
from halfsim.core.round import round_pack
from halfsim.kernels import threads as threading_of_loops
from tests.checking import assert_same, control
from tests.oracles import corners, philox, rational

EVERY = np.arange(65536, dtype=np.uint64)


def _word_enumeration(exponent, significand, bits, sign=0, fields=F16):
    """Results of one value under every random word of `bits` bits."""
    word = control(rational.Context("stochastic", random_bits=bits))
    return [round_pack(sign, exponent, significand, 0, fields, word, r << (32 - bits)) for r in range(1 << bits)]


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 8, 10])
def test_every_word_is_counted(bits):
    """Of the 2**bits words exactly floor(d * 2**bits) round away from zero, d the discarded fraction."""
    rng = np.random.default_rng(bits)
    for exponent in (-45, -38, -26, -6):  # significands of 21 bits: subnormal and normal results
        for _ in range(6):
            significand = int(rng.integers(1 << 20, 1 << 21))
            value = Fraction(significand) * rational._power(exponent)
            down, _ = rational.round_fraction(value, hs.BINARY16, "rtz")
            up, _ = rational.round_fraction(value, hs.BINARY16, "rup")
            step = rational.decode(up).magnitude - rational.decode(down).magnitude
            fraction = (value - rational.decode(down).magnitude) / step if step else Fraction(0)
            results = _word_enumeration(exponent, significand, bits)
            counted = sum(result == up != down for result, _ in results)
            assert counted == int(fraction * 2**bits)
            assert {result for result, _ in results} <= {down, up}
            # More words round up as the word grows: the decision is a threshold.
            ups = [result == up for result, _ in results]
            assert ups == sorted(ups)


def test_the_mean_over_all_words_is_the_value():
    """With as many random bits as discarded ones the mean over all words is exact."""
    rng = np.random.default_rng(9)
    for sign in (0, 1):
        for _ in range(20):
            significand = int(rng.integers(1 << 18, 1 << 19))  # 8 bits more than binary16 keeps
            results = _word_enumeration(-10, significand, 8, sign)
            total = sum(rational.decode(result).value for result, _ in results)
            assert total / 256 == (-1) ** sign * Fraction(significand, 1 << 10)


def test_one_random_word_below_the_smallest_subnormal():
    """2**-26 is a quarter of the smallest subnormal: a quarter of the words round up to it."""
    results = _word_enumeration(-26, 1, 6)
    assert sum(result == 1 for result, _ in results) == 16
    assert all(flags == 3 for _, flags in results)


def test_largest_number_rounds_up_to_infinity():
    half = _word_enumeration(4, 2 * 2047 + 1, 4)  # 65520
    assert [result for result, _ in half] == [0x7BFF] * 8 + [0x7C00] * 8
    assert [flags for _, flags in half] == [1] * 8 + [5] * 8


@pytest.mark.parametrize("bits", [1, 4, 13])
def test_values_equal_gfloat(bits):
    """gfloat takes the random bits as an operand; its StochasticFastest is this rule."""
    rng = np.random.default_rng(bits)
    for fmt, info in [
        (hs.BINARY16, gfloat.formats.format_info_binary16),
        (hs.E5M2, gfloat.formats.format_info_ocp_e5m2),
        (hs.BFLOAT16, gfloat.formats.format_info_bfloat16),
    ]:
        x = np.ldexp(rng.integers(1 << 23, 1 << 24, 4000).astype(np.float64), rng.integers(-45, -10, 4000))
        r = rng.integers(0, 1 << bits, x.size)
        want = gfloat.round_ndarray(info, x, gfloat.RoundMode.StochasticFastest, srbits=r, srnumbits=bits)
        word, fields = control(rational.Context("stochastic", random_bits=bits)), layout(fmt)
        for value, random, expected in zip(x.tolist(), r.tolist(), want.tolist(), strict=True):
            numerator, denominator = value.as_integer_ratio()
            result, _ = round_pack(0, 1 - denominator.bit_length(), numerator, 0, fields, word, random << (32 - bits))
            assert float(rational.decode(result, fmt).magnitude) == expected


# --- Through the front door: the words come from Philox ---


@pytest.mark.parametrize("bits", [1, 7, 24, 32])
@pytest.mark.parametrize("seed", [0, 12345, 2**63 + 1, 2**64 - 1])
def test_element_i_takes_word_i(bits, seed):
    a, b, c = (column[::5] for column in corners.triples(400, seed=81))
    offset = 2**32 - 100
    mode = hs.Stochastic(bits=bits, seed=seed, offset=offset)
    operands = [hs.from_bits(x) for x in (a, b, c)]
    sums, products, fused = (
        hs.add.flagged(*operands[:2], rounding=mode),
        hs.multiply.flagged(*operands[:2], rounding=mode),
        hs.fma.flagged(*operands, rounding=mode),
    )
    wide = np.linspace(-3, 3, len(a))
    narrowed = hs.convert.flagged(wide, hs.BINARY16, rounding=mode)
    integral = hs.round_to_integral.flagged(operands[0], rounding=mode)
    whole = hs.convert.flagged(operands[0], np.int16, rounding=mode, exact=True)
    want = {"sums": [], "products": [], "fused": [], "narrowed": [], "integral": [], "whole": []}
    for i, (x, y, z) in enumerate(zip(a.tolist(), b.tolist(), c.tolist(), strict=True)):
        context = rational.Context("stochastic", random=philox.word(seed, offset + i), random_bits=bits)
        want["sums"].append(rational.add(x, y, context))
        want["products"].append(rational.multiply(x, y, context))
        want["fused"].append(rational.fma(x, y, z, context))
        want["narrowed"].append(context.round(Fraction(wide[i]), hs.BINARY16))
        want["integral"].append(rational.round_to_integral(x, context))
        want["whole"].append(rational.to_integer(x, -32768, 32767, context, exact=True))
    for name, (value, flags) in {
        "sums": sums,
        "products": products,
        "fused": fused,
        "narrowed": narrowed,
        "integral": integral,
        "whole": whole,
    }.items():
        expected, raised = (np.array(column) for column in zip(*want[name], strict=True))
        got = hs.to_bits(value) if value.dtype == np.float16 else value
        assert_same(name, [a, b, c], [expected, raised], [got, flags])


def test_every_input_of_the_one_operand_operations():
    mode = hs.Stochastic(bits=12, seed=77)
    x = hs.from_bits(EVERY)
    words = [philox.word(77, i) for i in range(EVERY.size)]

    def expected(function, *arguments, **keywords):
        contexts = (rational.Context("stochastic", random=w, random_bits=12) for w in words)
        rows = [function(i, *arguments, context, **keywords) for i, context in enumerate(contexts)]
        return [np.array(column) for column in zip(*rows, strict=True)]

    root, flags = hs.sqrt.flagged(x, rounding=mode)
    assert_same("sqrt", [EVERY], expected(rational.sqrt), [hs.to_bits(root), flags])
    whole, flags = hs.round_to_integral.flagged(x, rounding=mode, exact=True)
    want = expected(rational.round_to_integral, exact=True)
    assert_same("round_to_integral", [EVERY], want, [hs.to_bits(whole), flags])
    got = hs.convert.flagged(x, np.int8, rounding=mode, exact=True)
    assert_same("int8", [EVERY], expected(rational.to_integer, -128, 127, exact=True), got)
    value, flags = hs.convert.flagged(x, hs.BFLOAT16, rounding=mode)
    bits, raised = expected(rational.convert, hs.BINARY16, hs.BFLOAT16)
    assert_same("bfloat16", [EVERY], [bits << 16, raised], [value.view(np.uint32), flags])


def test_index_is_in_c_order_whatever_the_layout():
    a = hs.from_bits(np.random.default_rng(1).integers(0, 0x7C00, (31, 17)))
    b = hs.from_bits(np.random.default_rng(2).integers(0, 0x7C00, (31, 17)))
    mode = hs.Stochastic(bits=10, seed=3)
    want = hs.to_bits(hs.add(a, b, rounding=mode))
    for change in (np.asfortranarray, lambda x: x[::-1].copy()[::-1]):
        np.testing.assert_array_equal(hs.to_bits(hs.add(change(a), change(b), rounding=mode)), want)
    flat = hs.to_bits(hs.add(a.reshape(-1), b.reshape(-1), rounding=mode))
    np.testing.assert_array_equal(flat.reshape(a.shape), want)
    column = hs.from_bits(np.arange(1, 32) << 9)[:, None]
    spread = np.broadcast_to(column, a.shape).copy()
    np.testing.assert_array_equal(
        hs.to_bits(hs.divide(a, column, rounding=mode)), hs.to_bits(hs.divide(a, spread, rounding=mode))
    )


@pytest.mark.parametrize("chunk", [1000, 4096, 33_333])
def test_chunks_with_offsets_equal_the_whole(chunk):
    size = 100_000
    x = np.random.default_rng(5).normal(size=size)
    a = hs.from_bits(np.random.default_rng(6).integers(0, 65536, size))
    whole = hs.Stochastic(bits=11, seed=9, offset=17)
    want = hs.convert(x, hs.BINARY16, rounding=whole), hs.multiply(a, a, rounding=whole)
    for start in range(0, size, chunk):
        part = slice(start, start + chunk)
        mode = hs.Stochastic(bits=11, seed=9, offset=17 + start)
        narrowed, product = (
            hs.convert(x[part], hs.BINARY16, rounding=mode),
            hs.multiply(a[part], a[part], rounding=mode),
        )
        np.testing.assert_array_equal(hs.to_bits(narrowed), hs.to_bits(want[0][part]))
        np.testing.assert_array_equal(hs.to_bits(product), hs.to_bits(want[1][part]))


def test_where_does_not_shift_the_words():
    x = np.random.default_rng(5).normal(size=1000)
    mode = hs.Stochastic(bits=8, seed=2)
    mask = np.arange(1000) % 3 == 0
    want = hs.to_bits(hs.convert(x, hs.BINARY16, rounding=mode))
    got = hs.to_bits(hs.convert(x, hs.BINARY16, rounding=mode, where=mask))
    np.testing.assert_array_equal(got[mask], want[mask])


def test_any_number_of_threads():
    size = 400_000
    x = np.random.default_rng(7).normal(size=size)
    a = hs.from_bits(np.random.default_rng(8).integers(0, 65536, size))
    mode = hs.Stochastic(bits=20, seed=1)
    before = hs.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 5):
            hs.set_num_threads(threads)
            results.append(
                (
                    hs.to_bits(hs.convert(x, hs.BINARY16, rounding=mode)).tobytes(),
                    *(part.tobytes() for part in hs.fma.flagged(a, a, a, rounding=mode)),
                )
            )
    finally:
        hs.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_exact_results_never_change():
    x = hs.from_bits(EVERY)
    numbers = (EVERY & 0x7FFF) <= 0x7C00
    for seed in range(3):
        mode = hs.Stochastic(bits=32, seed=seed)
        for value, flags in (
            hs.multiply.flagged(x, np.float16(1), rounding=mode),
            hs.add.flagged(x, np.float16(0), rounding=mode),
            hs.convert.flagged(hs.convert(x, hs.BINARY64), hs.BINARY16, rounding=mode),
        ):
            keep = numbers & (EVERY != 0x8000)  # -0 + 0 is +0
            np.testing.assert_array_equal(hs.to_bits(value)[keep], EVERY[keep])
            assert not flags[keep].any()


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_results_are_one_of_the_two_neighbours(name):
    a, b = (hs.from_bits(x) for x in corners.pairs(20_000, seed=82))
    operation = getattr(hs, name)
    down, up = (hs.to_bits(operation(a, b, rounding=mode)) for mode in ("rdn", "rup"))
    value, flags = operation.flagged(a, b, rounding=hs.Stochastic(bits=6, seed=4))
    bits = hs.to_bits(value)
    exact = (flags & 1) == 0
    wrong = ~((bits == down) | (bits == up))
    # A sum that is exactly zero is +0 here, as it is in every mode but toward negative.
    zero = exact & (bits & 0x7FFF == 0)
    assert not (wrong & ~zero).any()
    np.testing.assert_array_equal(down[exact & ~zero], bits[exact & ~zero])


def test_frequency_follows_the_fraction():
    """2**16 draws at each of 9 fractions; five standard deviations."""
    draws = 1 << 16
    for eighths in range(9):
        x = np.full(draws, 1 + eighths / 8 * 2.0**-10)
        value = hs.to_bits(hs.convert(x, hs.BINARY16, rounding=hs.Stochastic(bits=32, seed=100 + eighths)))
        ups = int((value == 0x3C01).sum())
        spread = 5 * (draws * eighths / 8 * (1 - eighths / 8)) ** 0.5
        assert abs(ups - draws * eighths / 8) <= spread


def test_seeds_and_offsets_give_other_words():
    x = np.full(1000, 1 + 2.0**-11)
    runs = {
        hs.convert(x, hs.BINARY16, rounding=hs.Stochastic(bits=16, seed=seed, offset=offset)).tobytes()
        for seed in (0, 1, 2**32)
        for offset in (0, 1, 2**40)
    }
    assert len(runs) == 9


@pytest.mark.parametrize("threads", [1, 2])
def test_the_largest_offset_has_room_for_every_element(threads, monkeypatch):
    monkeypatch.setattr(threading_of_loops, "_threads", threads)
    whole = hs.Stochastic(bits=13, seed=7, offset=2**62)
    third = np.full(70000, 1 / 3)
    result = hs.to_bits(hs.convert(third, hs.BINARY16, rounding=whole))
    assert result[0] == hs.to_bits(hs.convert(third[:1], hs.BINARY16, rounding=whole))[0]
    assert set(result.tolist()) == {0x3555, 0x3556}
