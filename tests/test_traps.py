"""The twelve traps of binary16 simulation, each written out by hand: no oracle between the standard and the number."""

from __future__ import annotations

import math

import numpy as np
import pytest

import halfsim as hs

NX, UF, OF, DZ, NV = (int(flag) for flag in hs.Flags)
EVERY = np.arange(65536, dtype=np.uint16)
NUMBERS = EVERY[(EVERY & 0x7FFF) <= 0x7C00]
DIRECTED = ("rne", "rna", "rtz", "rup", "rdn", "odd")
INF, MINUS_INF, QUIET, SIGNALING = 0x7C00, 0xFC00, 0x7E00, 0x7C01


def run(name, *bits, rounding="rne", environment=hs.RISCV, **options):
    value, flags = getattr(hs, name).flagged(
        *[hs.from_bits(b) for b in bits], rounding=rounding, environment=environment, **options
    )
    return int(hs.to_bits(value)) if isinstance(value, np.float16) else bool(value), int(flags)


def narrow(x, rounding="rne", environment=hs.RISCV):
    value, flags = hs.convert.flagged(x, hs.BINARY16, rounding=rounding, environment=environment)
    return int(hs.to_bits(value)), int(flags)


def test_trap_01_underflow_after_rounding_asks_the_unbounded_exponent():
    """Both values are delivered as 2**-14; only the first one rounds to less with 11 bits and any exponent."""
    smallest_normal = 2.0**-14
    tiny = smallest_normal * (1 - 0.6 * 2.0**-11)  # nearest multiple of 2**-25: 2**-14 - 2**-25
    carried = smallest_normal * (1 - 0.4 * 2.0**-11)  # nearest multiple of 2**-25: 2**-14
    assert narrow(tiny) == (0x0400, UF | NX)
    assert narrow(carried) == (0x0400, NX)
    assert narrow(tiny, environment=hs.ARM) == narrow(carried, environment=hs.ARM) == (0x0400, UF | NX)
    # Toward positive every inexact value below rounds up: tiny only when even 11 bits stay below.
    assert narrow(smallest_normal * (1 - 1.5 * 2.0**-11), "rup") == (0x0400, UF | NX)
    assert narrow(smallest_normal * (1 - 0.5 * 2.0**-11), "rup") == (0x0400, NX)
    assert narrow(-smallest_normal * (1 - 0.5 * 2.0**-11), "rdn") == (0x8400, NX)


def test_trap_02_exact_subnormals_raise_nothing():
    assert run("add", 0x0001, 0x0002) == (0x0003, 0)
    assert run("multiply", 0x0400, 0x3800) == (0x0200, 0)
    assert run("divide", 0x0400, 0x4400) == (0x0100, 0)
    assert run("fma", 0x0400, 0x3800, 0x0001) == (0x0201, 0)
    for mode in DIRECTED:
        for environment in (hs.RISCV, hs.ARM):
            assert narrow(3 * 2.0**-24, mode, environment) == (0x0003, 0)
            _, flags = hs.scaleb.flagged(np.float16(1), np.arange(-24, -14), rounding=mode, environment=environment)
            assert not flags.any()


def test_trap_03_round_to_odd():
    assert run("add", 0x7BFF, 0x7BFF, rounding="odd") == (0x7BFF, OF | NX)
    assert run("multiply", 0xFBFF, 0x7BFF, rounding="odd") == (0xFBFF, OF | NX)
    assert run("multiply", 0x0001, 0x0001, rounding="odd") == (0x0001, UF | NX)
    assert run("multiply", 0x8001, 0x0001, rounding="odd") == (0x8001, UF | NX)
    assert narrow(2.0**-1000, "odd") == (0x0001, UF | NX)
    assert narrow(2.0**250, "odd") == (0x7BFF, OF | NX)
    # Exact values stay, even ones too; inexact ones end in 1.
    values = hs.convert(hs.convert(hs.from_bits(NUMBERS), hs.BINARY64), hs.BINARY16, rounding="odd")
    np.testing.assert_array_equal(hs.to_bits(values), NUMBERS)
    quotients, flags = hs.divide.flagged(hs.from_bits(NUMBERS), np.float16(3), rounding="odd")
    assert (hs.to_bits(quotients)[flags & NX != 0] & 1).all()


@pytest.mark.parametrize(
    ("rounding", "positive", "negative"),
    [
        ("rne", INF, MINUS_INF),
        ("rna", INF, MINUS_INF),
        ("rup", INF, 0xFBFF),
        ("rdn", 0x7BFF, MINUS_INF),
        ("rtz", 0x7BFF, 0xFBFF),
        ("odd", 0x7BFF, 0xFBFF),
    ],
)
def test_trap_04_overflow_of_each_direction(rounding, positive, negative):
    assert run("add", 0x7BFF, 0x7BFF, rounding=rounding) == (positive, OF | NX)
    assert run("add", 0xFBFF, 0xFBFF, rounding=rounding) == (negative, OF | NX)
    # 65520 is halfway from the largest number to 2**16.
    nearest = rounding in ("rne", "rna")
    assert narrow(65520.0, rounding) == ((INF, OF | NX) if nearest or rounding == "rup" else (0x7BFF, NX))
    assert narrow(np.nextafter(65520.0, 0), rounding) == ((INF, OF | NX) if rounding == "rup" else (0x7BFF, NX))
    assert narrow(65504.0, rounding) == (0x7BFF, 0)
    assert narrow(65536.0, rounding) == (positive, OF | NX)


def test_trap_05_signs_of_exact_zeros():
    for mode in DIRECTED:
        zero = 0x8000 if mode == "rdn" else 0x0000
        for x in (0x3C01, 0x0001, 0x7BFF, 0x0000):
            assert run("subtract", x, x, rounding=mode) == (zero, 0)
            assert run("fma", x, 0x3C00, x ^ 0x8000, rounding=mode) == (zero, 0)
        assert run("add", 0x0000, 0x8000, rounding=mode) == (zero, 0)
        assert run("add", 0x8000, 0x8000, rounding=mode) == (0x8000, 0)
        assert run("add", 0x0000, 0x0000, rounding=mode) == (0x0000, 0)
        assert run("fma", 0x8000, 0x3C00, 0x8000, rounding=mode) == (0x8000, 0)
        assert run("fma", 0x8000, 0x3C00, 0x0000, rounding=mode) == (zero, 0)
        assert run("remainder", 0x4400, 0x4000, rounding=mode) == (0x0000, 0)
        assert run("remainder", 0xC400, 0x4000, rounding=mode) == (0x8000, 0)
        assert run("sqrt", 0x8000, rounding=mode) == (0x8000, 0)


def test_trap_06_division_by_zero_is_of_finite_numbers():
    for sign in (0x0000, 0x8000):
        assert run("divide", 0x3C00, sign) == (INF | sign, DZ)
        assert run("divide", 0x0001, sign) == (INF | sign, DZ)
        assert run("divide", INF, sign) == (INF | sign, 0)
        assert run("divide", 0x0000, sign) == (QUIET, NV)
        assert run("divide", INF, INF | sign) == (QUIET, NV)
        assert run("divide", 0x3C00, INF | sign) == (sign, 0)


def test_trap_07_remainder_is_exact_with_ties_to_even():
    assert run("remainder", 0x4200, 0x4000) == (0xBC00, 0)  # 3 - 2 * 2
    assert run("remainder", 0x4500, 0x4000) == (0x3C00, 0)  # 5 - 2 * 2
    assert run("remainder", 0x4700, 0x4000) == (0xBC00, 0)  # 7 - 2 * 4
    assert run("remainder", 0x7BFF, 0x0001) == (0x0000, 0)
    assert run("remainder", 0x3C00, INF) == (0x3C00, 0)
    assert run("remainder", 0x8001, MINUS_INF) == (0x8001, 0)
    assert run("remainder", INF, 0x3C00) == (QUIET, NV)
    assert run("remainder", 0x3C00, 0x8000) == (QUIET, NV)
    rng = np.random.default_rng(7)
    finite = NUMBERS[(NUMBERS & 0x7FFF) < INF]
    a, b = hs.from_bits(rng.choice(finite, 40_000)), hs.from_bits(rng.choice(finite[(finite & 0x7FFF) != 0], 40_000))
    for mode in DIRECTED:
        value, flags = hs.remainder.flagged(a, b, rounding=mode)
        assert not flags.any()
    want = [math.remainder(float(x), float(y)) for x, y in zip(a, b, strict=True)]
    np.testing.assert_array_equal(hs.to_bits(value), np.array(want, dtype=np.float16).view(np.uint16))


def test_trap_08_integers_raise_inexact_only_when_asked_and_invalid_alone():
    x = hs.from_bits(EVERY)
    signaling = ((EVERY & 0x7FFF) > INF) & (EVERY & 0x0200 == 0)
    for mode in DIRECTED:
        value, flags = hs.round_to_integral.flagged(x, rounding=mode)
        np.testing.assert_array_equal(flags, np.where(signaling, NV, 0))
        changed = ~np.isnan(value) & (value != x)
        _, flags = hs.round_to_integral.flagged(x, rounding=mode, exact=True)
        np.testing.assert_array_equal(flags, np.where(signaling, NV, np.where(changed, NX, 0)))
        _, flags = hs.convert.flagged(x, np.int8, rounding=mode)
        assert set(flags.tolist()) == {0, NV}
        _, flags = hs.convert.flagged(x, np.int8, rounding=mode, exact=True)
        assert set(flags.tolist()) == {0, NX, NV}
    assert hs.convert.flagged(np.float16(128.5), np.int8, exact=True)[1] == NV
    assert hs.convert.flagged(np.float16(127.25), np.int8, exact=True)[1] == NX
    assert hs.convert.flagged(np.float16(127.5), np.int8, exact=True)[1] == NV
    assert hs.convert.flagged(np.float16(127.5), np.int8, exact=True, rounding="rtz")[1] == NX


QUIET_NAMES = """equal not_equal greater_quiet greater_equal_quiet less_quiet less_equal_quiet not_greater_quiet
less_unordered_quiet not_less_quiet greater_unordered_quiet unordered ordered"""
SIGNALING_NAMES = """equal_signaling not_equal_signaling greater greater_equal less less_equal not_greater
less_unordered not_less greater_unordered"""


def test_trap_09_which_comparisons_signal():
    for name in QUIET_NAMES.split():
        assert run(name, QUIET, 0x3C00)[1] == run(name, 0x3C00, QUIET)[1] == run(name, QUIET, QUIET)[1] == 0
    for name in SIGNALING_NAMES.split():
        assert run(name, QUIET, 0x3C00)[1] == run(name, 0x3C00, QUIET)[1] == run(name, QUIET, QUIET)[1] == NV
    for name in (QUIET_NAMES + " " + SIGNALING_NAMES).split():
        assert run(name, SIGNALING, 0x3C00)[1] == run(name, QUIET, SIGNALING)[1] == NV
        assert run(name, INF, MINUS_INF)[1] == 0


def test_trap_10_wider_formats_round_once():
    # Just above a tie: binary32 would land on it, and then fall to even.
    above = 1 + 2.0**-11 + 2.0**-40
    assert narrow(above) == (0x3C01, NX)
    assert narrow(float(np.float32(above))) == (0x3C00, NX)
    assert narrow(2.0**-25 * (1 + 2.0**-52)) == (0x0001, UF | NX)
    assert narrow(2.0**-25) == (0x0000, UF | NX)
    assert narrow(2.0**-25, "rna") == (0x0001, UF | NX)


def test_trap_10_nan_payloads():
    def pattern(word, dtype):
        return np.array(word, dtype).view(np.float64 if dtype is np.uint64 else np.float32)[()]

    low_only = pattern(0x7FF0_0000_0000_0001, np.uint64)
    assert narrow(low_only, environment=hs.IEEE) == (0x7E00, NV)
    assert narrow(low_only, environment=hs.RISCV) == (0x7E00, NV)
    assert narrow(pattern(0xFF80_0001, np.uint32), environment=hs.X86) == (0xFE00, NV)
    assert narrow(pattern(0x7F80_2000, np.uint32), environment=hs.IEEE) == (0x7E01, NV)
    assert narrow(pattern(0xFFE0_6000, np.uint32), environment=hs.ARM) == (0xFF03, 0)
    assert narrow(pattern(0x7FFF_FFFF, np.uint32), environment=hs.IEEE) == (0x7FFF, 0)
    assert narrow(pattern(0x7FFF_FFFF, np.uint32), environment=hs.RISCV) == (0x7E00, 0)


def test_trap_11_five_minima():
    """Beside a quiet NaN, a signaling NaN, and the other zero."""
    negative_zero = 0x8000
    rows = {
        "minimum": [(QUIET, 0), (QUIET, NV), (negative_zero, 0)],
        "minimum_number": [(0x3C00, 0), (0x3C00, NV), (negative_zero, 0)],
        "min_num": [(0x3C00, 0), (QUIET, NV), (negative_zero, 0)],
    }
    for name, (quiet, signaling, zero) in rows.items():
        for a, b in ((0x3C00, QUIET), (QUIET, 0x3C00)):
            assert run(name, a, b) == quiet
        for a, b in ((0x3C00, SIGNALING), (SIGNALING, 0x3C00)):
            assert run(name, a, b) == signaling
        for a, b in ((0x0000, negative_zero), (negative_zero, 0x0000)):
            assert run(name, a, b) == zero
    # x86 VMINSH, VMAXSH: the second operand, unchanged, and invalid for quiet NaNs too.
    for name in ("minsh", "maxsh"):
        assert run(name, 0x3C00, QUIET) == (QUIET, NV)
        assert run(name, QUIET, 0x3C00) == (0x3C00, NV)
        assert run(name, 0x3C00, SIGNALING) == (SIGNALING, NV)
        assert run(name, 0x0000, negative_zero) == (negative_zero, 0)
        assert run(name, negative_zero, 0x0000) == (0x0000, 0)
    # CUDA's __hmin and __hmin_nan.
    assert run("minimum_number", QUIET, QUIET, environment=hs.CUDA) == (0x7FFF, 0)
    assert run("minimum", 0x3C00, QUIET, environment=hs.CUDA) == (0x7FFF, 0)


def test_trap_12_flags_are_of_each_element():
    a = hs.from_bits(np.uint16([0x3C00, 0x3C00, 0x7BFF, 0x0001, INF, 0x3C00]))
    b = hs.from_bits(np.uint16([0x4200, 0x0000, 0x0001, 0x7BFF, INF, 0x4000]))
    _, flags = hs.divide.flagged(a, b)
    assert flags.tolist() == [NX, DZ, OF | NX, UF | NX, NV, 0]
    assert hs.Flags(int(np.bitwise_or.reduce(flags))) == hs.Flags(31)
    # A flag is not sticky: the next call starts clean.
    assert not hs.divide.flagged(a[-1:], b[-1:]).flags.any()
