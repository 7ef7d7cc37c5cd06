"""The oracles agree with each other, so that one wrong oracle cannot pass for right."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from randomgen import Philox

from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, E4M3, E5M2, TF32
from tests.checking import assert_same, rational_table
from tests.oracles import apy, corners, mpfr, philox, rational, softfloat

RISCV = rational.MACHINES["RISCV"]
TWO = ["add", "subtract", "multiply", "divide", "remainder"]


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize("mode", rational.MODES)
@pytest.mark.parametrize("tininess", ["after", "before"])
def test_rational_equals_softfloat(name, mode, tininess):
    operands = corners.pairs(500, seed=11)
    context = rational.Context(mode, replace(RISCV, tininess=tininess))
    want = softfloat.operate(name, *operands, mode=mode, tininess=tininess)
    assert_same(name, operands, want, rational_table(getattr(rational, name), operands, context))


@pytest.mark.parametrize("mode", rational.MODES)
def test_rational_fma_equals_softfloat(mode):
    operands = corners.triples(1000, seed=12)
    want = softfloat.operate("fma", *operands, mode=mode)
    assert_same("fma", operands, want, rational_table(rational.fma, operands, rational.Context(mode, RISCV)))


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize("mode", mpfr.MODES)
def test_mpfr_equals_softfloat(name, mode):
    operands = list(corners.pairs(3000, seed=13))
    numbers = ((operands[0] & 0x7FFF) <= 0x7C00) & ((operands[1] & 0x7FFF) <= 0x7C00)
    operands = [c[numbers] for c in operands]
    want = softfloat.operate(name, *operands, mode=mode)
    assert_same(name, operands, want, mpfr.operate(name, *operands, mode=mode))


@pytest.mark.parametrize("name", TWO[:4])
@pytest.mark.parametrize("mode", apy.MODES)
def test_apytypes_equals_softfloat(name, mode):
    operands = corners.pairs(10_000, seed=14)
    want, _ = softfloat.operate(name, *operands, mode=mode)
    assert_same(name, operands, [want], [apy.operate(name, *operands, mode)])


@pytest.mark.parametrize("fmt", [BINARY16, BINARY32, BINARY64, BFLOAT16, TF32, E5M2, E4M3], ids=lambda f: f.name)
def test_decode_and_encode_are_inverse(fmt):
    for bits in corners.patterns(fmt):
        datum = rational.decode(int(bits), fmt)
        if datum.kind == "finite":
            assert rational.encode(datum.sign, datum.magnitude, fmt) == bits
            for mode in rational.MODES:
                assert rational.round_fraction(datum.value, fmt, mode, zero_sign=datum.sign) == (bits, 0)


def test_decode_equals_numpy():
    words = np.arange(65536, dtype=np.uint16)
    values = words.view(np.float16).astype(np.float64)
    for word, value in zip(words.tolist(), values.tolist(), strict=True):
        datum = rational.decode(word)
        if datum.kind == "finite":
            assert datum.value == Fraction(value)
        else:
            assert (datum.kind == "infinite") == np.isinf(value)
            assert datum.is_nan == np.isnan(value)


def test_softfloat_refuses_modes_it_would_truncate():
    with pytest.raises(KeyError):
        softfloat.call("f16_add", np.array([1]), np.array([1]), mode="odd")


def test_philox_known_answers():
    """The published vectors of Random123's kat_vectors."""
    assert philox.philox4x32(0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    ones = philox.philox4x32(2**128 - 1, 2**64 - 1)
    assert ones == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
    counter = 0x03707344_13198A2E_85A308D3_243F6A88
    assert philox.philox4x32(counter, 0x299F31D0_A4093822) == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


@pytest.mark.parametrize(("counter", "key"), [(1, 0), (2**64 + 7, 12345), (99, 2**64 - 2), (2**40, 2**33 + 5)])
def test_philox_equals_randomgen(counter, key):
    # randomgen counts up before it draws.
    generator = Philox(counter=counter - 1, key=key, number=4, width=32)
    assert philox.philox4x32(counter, key) == [int(w) for w in generator.random_raw(4)]
