"""Values as people read them: hexadecimal significands, decimals, and the fields of a bit pattern."""

from __future__ import annotations

import decimal as _decimal
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, Flag
from fractions import Fraction
from html import escape
from json import dumps
from typing import Any

from halfsim.core.compare import Class, classify
from halfsim.core.fields import Kind, layout, unpack
from halfsim.explanation.parts import Part, markdown, plain_text
from halfsim.explanation.watch import watch
from halfsim.formats import Format

__all__ = [
    "Datum",
    "Printed",
    "Record",
    "compact",
    "datum",
    "decimal",
    "dyadic",
    "hexadecimal",
    "power",
    "ratio",
    "short",
    "ulp",
    "whole",
]

_EXACT_DIGITS = 25
_SHOWN_DIGITS = 17
# Characters of a number in a table.
_CELL = 16
# Python refuses to write integers of more than 4300 decimal digits.
_LONG = 14_000


def power(exponent: int) -> Fraction:
    """Two to an integer power, exactly."""
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


def dyadic(sign: int, exponent: int, significand: int, tail: int = 0) -> Fraction:
    """Exact value of what the rounder takes: (-1)**sign * (significand + tail / 2**32) * 2**exponent."""
    value = Fraction((significand << 32) + tail) * power(exponent - 32)
    return -value if sign else value


def hexadecimal(value: Fraction, sign: int | None = None) -> str:
    """C99 hexadecimal form, exact; a value that is no binary fraction is written as a ratio. `sign` serves zeros."""
    negative = value < 0 if sign is None or value else bool(sign)
    prefix = "-" if negative else ""
    magnitude = abs(value)
    if magnitude == 0:
        return f"{prefix}0x0p+0"
    if magnitude.denominator & (magnitude.denominator - 1):
        return f"{prefix}{magnitude.numerator}/{magnitude.denominator}"
    places = magnitude.numerator.bit_length() - 1
    exponent = places - (magnitude.denominator.bit_length() - 1)
    rest = magnitude.numerator - (1 << places)
    digits = f"{rest << (-places % 4):0{-(-places // 4)}x}".rstrip("0") if places else ""
    return f"{prefix}0x1{'.' if digits else ''}{digits}p{exponent:+d}"


def ratio(value: Fraction) -> str:
    """Numerator over denominator in decimal; the hexadecimal form where that has thousands of digits."""
    long = max(abs(value.numerator), value.denominator).bit_length() > _LONG
    return hexadecimal(value) if long else str(value)


def decimal(value: Fraction, sign: int | None = None, *, places: int = 0, lowest: int = -5) -> str:
    """Decimal form: exact up to 25 digits, else 17 digits and an ellipsis; or just so many places and an ellipsis.

    Numbers below ``10**lowest`` are written with a power of ten.
    """
    if value == 0:
        return "-0" if sign else "0"
    with _decimal.localcontext(_decimal.Context(prec=_EXACT_DIGITS, Emin=-99999, Emax=99999)) as context:
        number = _decimal.Decimal(value.numerator) / _decimal.Decimal(value.denominator)
        more = places > 0 or bool(context.flags[_decimal.Inexact])
        if more:
            context.prec, context.rounding = places or _SHOWN_DIGITS, _decimal.ROUND_DOWN
            number = _decimal.Decimal(value.numerator) / _decimal.Decimal(value.denominator)
        place = number.adjusted()
        # Digits that are not known are not written as zeros.
        highest = context.prec if more else 20
        text = f"{number:f}" if lowest <= place < highest else f"{number:e}"
    significand, _, exponent = text.partition("e")
    if "." in significand and not more:
        significand = significand.rstrip("0").rstrip(".")
    return significand + ("..." if more else "") + (f"e{exponent}" if exponent else "")


def compact(value: Fraction, sign: int | None = None) -> str:
    """Return a value in one cell of a table: in decimal where that is short, else in hexadecimal.

    It is exact but for significands of more than 60 bits, as long accumulators have them: these end in an ellipsis.
    """
    text = decimal(value, sign)
    if len(text) <= _CELL and not text.endswith("..."):
        return text
    significand, _, exponent = hexadecimal(value, sign).partition("p")
    cut = len(significand) > 2 * _CELL - 12
    return f"{significand[: _CELL - 6]}...p{exponent}" if cut else f"{significand}p{exponent}"


def short(value: Fraction, sign: int | None = None) -> str:
    """Return the decimal value in one cell of a table, cut to 6 digits and an ellipsis where it is longer."""
    text = decimal(value, sign, lowest=-3)
    return text if len(text) <= _CELL - 6 else decimal(value, sign, places=6, lowest=-3)


def ulp(value: Fraction, fmt: Format) -> Fraction:
    """Return the weight of the last place of a format at a real number, of the largest binade for those beyond it.

    That is ``2**(max(e, emin) - p + 1)`` with ``2**e <= |value| < 2**(e + 1)``: Goldberg's definition, extended to all
    reals [@muller2005].
    """
    magnitude = abs(value)
    exponent = fmt.emin
    if magnitude:
        exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
        exponent -= power(exponent) > magnitude
    return power(min(max(exponent, fmt.emin), fmt.emax) - fmt.precision + 1)


def _plain(value: Any) -> Any:
    """What JSON can hold: enum members by name, fractions as text, records as objects."""
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Flag):
        return [flag.name for flag in value]
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Fraction):
        return ratio(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


class Record:
    """What every record can do: become a dictionary or JSON text."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dictionary of JSON's types; exact fractions are text, as `ratio` writes them."""
        plain: dict[str, Any] = _plain(self)
        return plain

    def to_json(self, indent: int | None = 2) -> str:
        """Return the fields as JSON text."""
        return dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


class Printed(Record):
    """A record that prints: as text and as Markdown, in part where it is long."""

    __slots__ = ()

    def parts(self, everything: bool = False) -> Iterable[Part]:
        """Return headings, facts and tables, in order; all rows of long tables with `everything`."""
        raise NotImplementedError

    def __str__(self) -> str:
        return plain_text(self.parts())

    def to_text(self, everything: bool = False) -> str:
        """Return the record as aligned text; all rows of long tables with `everything`."""
        return plain_text(self.parts(everything))

    def to_markdown(self, everything: bool = False) -> str:
        """Return the record as Markdown with pipe tables; all rows of long tables with `everything`."""
        return markdown(self.parts(everything))


@dataclass(frozen=True, slots=True, kw_only=True)
class Datum(Record):
    """A bit pattern taken apart: ``(-1)**sign * significand * 2**exponent`` when finite.

    Parameters
    ----------
    name : str
        What it is: ``"a"``, ``"result"``.
    format : str
        Name of its format, or of an integer type.
    bits : int
        The pattern; `pattern` has it in hexadecimal, and `encoding` the binary digits of its three fields.
    pattern, encoding : str
        See `bits`.
    sign, exponent_field, fraction_field : int
        The fields.
    kind : str
        Class of IEEE 754-2019 §5.7.2.
    exponent, significand : int or None
        See above; None for infinities and NaNs.
    value : Fraction or None
        Exact value; None for infinities and NaNs.
    hexadecimal, decimal : str
        The value for people.
    flushed : bool
        Whether the operation read this subnormal operand as zero.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> a = hs.explain("sqrt", np.float16(0.75)).operands[0]
    >>> a.pattern, a.encoding, a.significand, a.exponent
    ('0x3a00', '0 01110 1000000000', 1536, -11)
    """

    name: str
    format: str
    bits: int
    pattern: str
    sign: int
    exponent_field: int
    fraction_field: int
    encoding: str
    kind: str
    exponent: int | None
    significand: int | None
    value: Fraction | None
    hexadecimal: str
    decimal: str
    flushed: bool = False


def datum(name: str, bits: int, fmt: Format, *, flushed: bool = False) -> Datum:
    """Take a pattern apart with the core's own functions."""
    cut = layout(fmt)
    bits &= (1 << fmt.width) - 1
    sign, exponent, significand, kind = watch(unpack, bits, cut).result
    field = (bits >> (fmt.precision - 1)) & cut.exponent_mask
    fraction = bits & cut.fraction_mask
    finite = kind == Kind.finite
    value = dyadic(sign, exponent, significand) if finite else None
    if value is not None:
        shown = hexadecimal(value, sign), decimal(value, sign)
    else:
        text = {Kind.infinite: "inf", Kind.quietNaN: "nan", Kind.signalingNaN: "snan"}[kind]
        text += f"({fraction:#x})" if kind >= Kind.quietNaN else ""
        shown = (("-" if sign else "") + text,) * 2
    return Datum(
        name=name,
        format=fmt.name,
        bits=bits,
        pattern=f"{bits:#0{2 + -(-fmt.width // 4)}x}",
        sign=sign,
        exponent_field=field,
        fraction_field=fraction,
        encoding=f"{sign} {field:0{fmt.width - fmt.precision}b} {fraction:0{fmt.precision - 1}b}",
        kind=Class(watch(classify, bits, cut).result).name,
        exponent=exponent if finite else None,
        significand=significand if finite else None,
        value=value,
        hexadecimal=shown[0],
        decimal=shown[1],
        flushed=flushed,
    )


def whole(name: str, value: int, kind: str, *, text: str = "") -> Datum:
    """Describe an integer, or with `text` what it stands for, in the form of a datum."""
    if kind.startswith("uint"):
        value &= (1 << int(kind[4:])) - 1
    return Datum(
        name=name,
        format=kind,
        bits=value,
        pattern=f"{value:#x}",
        sign=int(value < 0),
        exponent_field=0,
        fraction_field=0,
        encoding="",
        kind="integer" if not text else kind,
        exponent=0,
        significand=abs(value),
        value=Fraction(value),
        hexadecimal=text or f"{value:#x}",
        decimal=text or str(value),
    )
