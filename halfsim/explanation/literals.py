"""Numbers as people type them: bit patterns, decimals, C99 hexadecimal floats, infinities and NaNs, rounded once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from halfsim.accumulators import Accumulator, MatrixUnit, factor_formats
from halfsim.core.control import control_word
from halfsim.core.convert import convert
from halfsim.core.fields import layout
from halfsim.core.round import round_pack
from halfsim.environment import IEEE
from halfsim.explanation.values import datum
from halfsim.explanation.watch import watch
from halfsim.flags import Flags
from halfsim.formats import BINARY16, BINARY32, Format, Specials
from halfsim.rounding import Rounding

__all__ = ["Literal", "dot_formats", "integer", "parse"]

_PATTERN = re.compile(r"0x([0-9a-f]+)", re.IGNORECASE)
_HEX = re.compile(r"([+-]?)0x([0-9a-f]*)\.?([0-9a-f]*)p([+-]?\d+)", re.IGNORECASE)
_DECIMAL = re.compile(r"([+-]?)(\d*)\.?(\d*)(?:e([+-]?\d+))?", re.IGNORECASE)
_SPECIAL = re.compile(r"([+-]?)(inf|infinity|s?nan)(?:\(0x([0-9a-f]+)\))?", re.IGNORECASE)
_FORMS = "a bit pattern (0x3c01), a decimal number, a C99 hex-float (0x1.8p-3), inf, nan or snan"
_LONGEST = 1000
# Beyond these powers of the base every number overflows or rounds to zero, in any format.
_FARTHEST = 5000


@dataclass(frozen=True, slots=True)
class Literal:
    """A typed number as a pattern of a format, and what was lost in rounding it."""

    bits: int
    format: Format
    note: str = ""

    @property
    def scalar(self) -> Any:
        """The number as a NumPy scalar; one of a format that NumPy has not, as a float32 of the same value."""
        native = {"binary16": (np.uint16, np.float16), "binary32": (np.uint32, np.float32)}
        native["binary64"] = (np.uint64, np.float64)
        if self.format.name in native:
            word, dtype = native[self.format.name]
            return np.array([self.bits], word).view(dtype)[0]
        return np.array([_widened(self.bits, self.format)], np.uint32).view(np.float32)[0]


def parse(text: str, name: str, fmt: Format) -> Literal:
    """Read one number in a format; raises a ValueError that names the operand and the accepted forms."""
    text = _stripped(text, name)
    if match := _PATTERN.fullmatch(text):
        bits = int(match[1], 16)
        if bits >> fmt.width:
            raise ValueError(
                f"operand {name}: {text} is wider than the {fmt.width} bits of {fmt.name}; "
                "a hex-float needs an exponent, as 0x1.8p-3 has"
            )
        return Literal(bits, fmt)
    if match := _SPECIAL.fullmatch(text):
        return Literal(_special(match, text, name, fmt), fmt)
    # Python reads the digits of every script.
    value = _value(text) if text.isascii() else None
    if value is None:
        raise ValueError(f"operand {name}: {text!r} is not {_FORMS}")
    return _rounded(value, text.startswith("-"), text, name, fmt)


def integer(text: str, name: str) -> int:
    """Read the exponent that scaleb takes; raises a ValueError for anything but an integer of 64 bits."""
    text = _stripped(text, name)
    try:
        value = int(text if text.isascii() and "_" not in text else "", 0)
    except ValueError:
        raise ValueError(f"operand {name}: {text!r} is not an integer; scaleb takes an exponent such as -3") from None
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"operand {name}: {text} has more than 64 bits; scaleb takes an exponent such as -3")
    return value


def dot_formats(rows: Sequence[Accumulator]) -> tuple[Format, Format, Format]:
    """Formats in which a dot product for several accumulators is typed: of both factors, and of the addend.

    The addend is binary16 if every sum is, else binary32. Raises a ValueError if the rows take unequal factors.
    """
    formats = list(dict.fromkeys(factor_formats(row) for row in rows))
    if len(formats) > 1:
        names = " and ".join(dict.fromkeys(fmt.name for pair in formats for fmt in pair))
        raise ValueError(f"a comparison takes accumulators of equal factors, not of {names}; leave some out")
    results = {row.output if isinstance(row, MatrixUnit) else row.format for row in rows}
    return *formats[0], BINARY16 if results == {BINARY16} else BINARY32


def _stripped(text: str, name: str) -> str:
    text = text.strip()
    if len(text) > _LONGEST:
        raise ValueError(f"operand {name} has {len(text)} characters; write at most {_LONGEST}")
    return text


def _widened(bits: int, fmt: Format) -> int:
    """Return the binary32 pattern of the number that a pattern of a smaller format stands for."""
    control = control_word(Rounding.roundTiesToEven, IEEE)
    pattern, _ = watch(convert, bits, layout(fmt), layout(BINARY32), control, 0).result
    return int(pattern)


def _special(match: re.Match[str], text: str, name: str, fmt: Format) -> int:
    """Pattern of an infinity or a NaN, with the fraction field given in parentheses, as halfsim prints it."""
    kind = match[2].lower()
    if fmt.specials == Specials.nan_only and kind == "nan" and not match[3]:
        return (1 << (fmt.width - 1) if match[1] == "-" else 0) | ((1 << (fmt.width - 1)) - 1)
    if fmt.specials != Specials.ieee:
        raise ValueError(f"operand {name}: {fmt.name} has no {text}; its largest number is {fmt.largest:g}")
    quiet = 1 << (fmt.precision - 2)
    if kind.startswith("inf"):
        payload, right = 0, match[3] is None
    else:
        payload = int(match[3], 16) if match[3] else quiet if kind == "nan" else 1
        right = 0 < payload < 2 * quiet and bool(payload & quiet) == (kind == "nan")
    if not right:
        raise ValueError(f"operand {name}: {text} has no such fraction field in {fmt.name}; write {kind} alone")
    exponent = ((1 << (fmt.width - fmt.precision)) - 1) << (fmt.precision - 1)
    return (1 << (fmt.width - 1) if match[1] == "-" else 0) | exponent | payload


def _value(text: str) -> Fraction | None:
    """Exact magnitude and sign of a number, None if it is not one."""
    for pattern, base, step in ((_HEX, 16, 2), (_DECIMAL, 10, 10)):
        match = pattern.fullmatch(text)
        if match and (match[2] or match[3]):
            digits = int(match[2] + match[3], base)
            power = max(-_FARTHEST, min(_FARTHEST, int(match[4] or "0")))
            value = Fraction(digits, base ** len(match[3])) * Fraction(step) ** power
            return -value if match[1] == "-" else value
    return None


def _rounded(value: Fraction, negative: bool, text: str, name: str, fmt: Format) -> Literal:
    """Round a number to nearest even, once, by the core's rounder."""
    # A quotient of 61 or 62 bits, and whether digits follow.
    shift = 61 - (abs(value.numerator).bit_length() - value.denominator.bit_length())
    top, bottom = abs(value.numerator) << max(shift, 0), value.denominator << max(-shift, 0)
    significand, rest = divmod(top, bottom)
    control = control_word(Rounding.roundTiesToEven, IEEE)
    given = int(negative), -shift, significand, int(rest != 0)
    bits, flags = watch(round_pack, *given, layout(fmt), control, 0).result
    # Patterns of 64 bits arrive as int64.
    bits &= (1 << fmt.width) - 1
    if not flags & Flags.inexact:
        return Literal(bits, fmt)
    to = datum(name, bits, fmt)
    shown = to.decimal if to.hexadecimal == to.decimal else f"{to.hexadecimal} = {to.decimal}"
    return Literal(
        bits,
        fmt,
        f"{name} = {text} is not a {fmt.name} number; rounded once, to nearest even, to {to.pattern} = {shown}",
    )
