"""The control word: rounding and environment in one integer, as a hardware floating-point control register."""

from __future__ import annotations

from enum import IntEnum

from halfsim.core._jit import scalar
from halfsim.environment import Environment
from halfsim.rounding import Rounding, Stochastic

__all__ = [
    "STOCHASTIC",
    "Bit",
    "control_word",
    "gradual",
    "has",
    "invalid_integer",
    "nan_default",
    "nan_operand",
    "random_bits",
    "rounding_mode",
]

STOCHASTIC = 6
"""Rounding code of stochastic rounding; the others are the values of `Rounding`."""


class Bit(IntEnum):
    """Positions in the control word. Bits 0-2 hold the rounding code, 24-29 the number of random bits."""

    tininessBefore = 3
    flushInputs = 4
    flushResults = 5
    nanDefault = 6  # two bits
    nanOperand = 8  # two bits
    addendFirst = 10
    infTimesZeroInvalid = 11
    invalidInteger = 12  # two bits
    exact = 14  # conversions to integer and round_to_integral: raise inexact
    saturate = 15  # formats without infinity: overflow gives the largest finite number
    flushInexact = 16
    passBinary64 = 17


def control_word(
    rounding: Rounding | Stochastic, environment: Environment, *, exact: bool = False, saturate: bool = False
) -> int:
    """Pack a rounding, an environment and the options of one operation."""
    nan = environment.nan
    if isinstance(rounding, Stochastic):
        mode = STOCHASTIC | rounding.bits << 24
    else:
        mode = int(rounding)
    return (
        mode
        | int(environment.tininess) << Bit.tininessBefore
        | int(environment.flush_inputs) << Bit.flushInputs
        | int(environment.flush_results) << Bit.flushResults
        | int(nan.default) << Bit.nanDefault
        | int(nan.operand) << Bit.nanOperand
        | int(nan.addend_first) << Bit.addendFirst
        | int(nan.inf_times_zero_invalid) << Bit.infTimesZeroInvalid
        | int(environment.invalid_integer) << Bit.invalidInteger
        | int(bool(exact)) << Bit.exact
        | int(bool(saturate)) << Bit.saturate
        | int(environment.flush_inexact) << Bit.flushInexact
        | int(nan.pass_binary64) << Bit.passBinary64
    )


def gradual(control: int) -> int:
    """Return a control word without its flushing."""
    return control & ~(1 << Bit.flushInputs | 1 << Bit.flushResults)


@scalar
def rounding_mode(control):
    """Rounding code: a value of `Rounding`, or `STOCHASTIC`."""
    return control & 7


@scalar
def random_bits(control):
    """Random bits per stochastic rounding."""
    return (control >> 24) & 63


@scalar
def has(control, bit):
    """Whether a one-bit field is set."""
    return (control >> bit) & 1 != 0


@scalar
def nan_default(control):
    """A value of `DefaultNaN`."""
    return (control >> Bit.nanDefault) & 3


@scalar
def nan_operand(control):
    """A value of `NaNOperand`."""
    return (control >> Bit.nanOperand) & 3


@scalar
def invalid_integer(control):
    """A value of `InvalidInteger`."""
    return (control >> Bit.invalidInteger) & 3
