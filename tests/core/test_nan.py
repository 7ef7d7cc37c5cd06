"""NaN rules at the scalar level: the choice among up to three operands, quieting, payloads across formats."""

from __future__ import annotations

import itertools

import pytest

from halfsim.core.control import control_word
from halfsim.core.fields import Kind, layout
from halfsim.core.nan import choose_nan, default_nan, invalid, pass_nan, signals
from halfsim.environment import IEEE, DefaultNaN, Environment, NaNOperand, NaNRule
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, E4M3, E5M2, TF32, Format, Specials
from halfsim.rounding import Rounding

FORMATS = [BINARY16, BINARY32, BINARY64, BFLOAT16, TF32, E5M2]
E2M1 = Format("E2M1", 4, 2, 0, 2, Specials.none)


def _word(operand=NaNOperand.none, default=DefaultNaN.positive):
    return control_word(Rounding.roundTiesToEven, Environment(nan=NaNRule(operand=operand, default=default)))


@pytest.mark.parametrize("kinds", list(itertools.product(Kind, repeat=3)))
def test_choice_among_three_operands(kinds):
    nans = [place for place, kind in enumerate(kinds, 1) if kind in (Kind.quietNaN, Kind.signalingNaN)]
    signaling = [place for place, kind in enumerate(kinds, 1) if kind == Kind.signalingNaN]
    assert choose_nan(*kinds, _word(NaNOperand.none)) == 0
    assert choose_nan(*kinds, _word(NaNOperand.first)) == [*nans, 0][0]
    assert choose_nan(*kinds, _word(NaNOperand.signalingFirst)) == [*signaling, *nans, 0][0]
    assert signals(*kinds) == (16 if signaling else 0)


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
def test_default_nan_by_its_digits(fmt):
    exponent, fraction = fmt.width - fmt.precision, fmt.precision - 1
    quiet = "1".ljust(fraction, "0")
    for kind, digits in [
        (DefaultNaN.positive, "0" + "1" * exponent + quiet),
        (DefaultNaN.negative, "1" + "1" * exponent + quiet),
        (DefaultNaN.allOnes, "0" + "1" * (fmt.width - 1)),
    ]:
        bits, flags = invalid(layout(fmt), _word(default=kind))
        assert (bits % 2**fmt.width, flags) == (int(digits, 2), 16)


def test_formats_without_a_quiet_bit():
    word = control_word(Rounding.roundTiesToEven, IEEE)
    assert default_nan(layout(E4M3), word) == 0x7F
    assert default_nan(layout(E2M1), word) == 0
    assert [pass_nan(s, 5, layout(BINARY16), layout(E4M3)) for s in (0, 1)] == [0x7F, 0xFF]
    assert [pass_nan(s, 5, layout(BINARY16), layout(E2M1)) for s in (0, 1)] == [0x0, 0x8]
    assert [pass_nan(s, 7, layout(E4M3), layout(BINARY16)) for s in (0, 1)] == [0x7E00, 0xFE00]


@pytest.mark.parametrize(("fmt", "to"), list(itertools.permutations(FORMATS, 2)), ids=lambda f: f.name)
def test_payloads_keep_their_leading_bits(fmt, to):
    """Fractions as strings of digits: cut or filled with zeros on the right, the first one set."""
    length, wanted = fmt.precision - 1, to.precision - 1
    for fraction in {1, 2, (1 << length) - 1, 1 << (length - 1), (1 << length) // 3}:
        digits = f"{fraction:0{length}b}"[:wanted].ljust(wanted, "0")
        want = "1" * (1 + to.width - to.precision) + "1" + digits[1:]
        assert pass_nan(1, fraction, layout(fmt), layout(to)) % 2**to.width == int(want, 2)
