"""The control word: every rounding and every part of an environment in bits of its own."""

from __future__ import annotations

import itertools

import pytest

from halfsim import environment as presets
from halfsim.core import control
from halfsim.core.control import Bit, control_word
from halfsim.environment import DefaultNaN, Environment, InvalidInteger, NaNOperand, NaNRule, Tininess
from halfsim.rounding import Rounding, Stochastic

ROUNDINGS = [*Rounding, *(Stochastic(bits=bits, seed=0) for bits in (1, 13, 32))]


def _read(word):
    """Everything a control word says, as the vocabulary says it."""
    mode = control.rounding_mode(word)
    stochastic = mode == control.STOCHASTIC
    return (
        Stochastic(bits=control.random_bits(word), seed=0) if stochastic else Rounding(mode),
        Environment(
            tininess=Tininess(int(control.has(word, Bit.tininessBefore))),
            nan=NaNRule(
                default=DefaultNaN(control.nan_default(word)),
                operand=NaNOperand(control.nan_operand(word)),
                addend_first=bool(control.has(word, Bit.addendFirst)),
                inf_times_zero_invalid=bool(control.has(word, Bit.infTimesZeroInvalid)),
                pass_binary64=bool(control.has(word, Bit.passBinary64)),
            ),
            flush_inputs=bool(control.has(word, Bit.flushInputs)),
            flush_results=bool(control.has(word, Bit.flushResults)),
            flush_inexact=bool(control.has(word, Bit.flushInexact)),
            invalid_integer=InvalidInteger(control.invalid_integer(word)),
        ),
        bool(control.has(word, Bit.exact)),
        bool(control.has(word, Bit.saturate)),
    )


def test_every_combination_is_read_back():
    """All rules with all roundings; the one-bit options in turn, which is enough where bits do not overlap."""
    words = set()
    rules = itertools.product(DefaultNaN, NaNOperand, (False, True), (False, True))
    for rounding, (default, operand, first, invalid), integer in itertools.product(ROUNDINGS, rules, InvalidInteger):
        for options in ((0, 0, 0, 0, 0), (1, 0, 1, 0, 1), (0, 1, 0, 1, 0), (1, 1, 1, 1, 1)):
            tininess, inputs, results, exact, saturate = (bool(option) for option in options)
            rule = NaNRule(
                default=default,
                operand=operand,
                addend_first=first,
                inf_times_zero_invalid=invalid,
                pass_binary64=results,
            )
            environment = Environment(
                tininess=Tininess(int(tininess)),
                nan=rule,
                flush_inputs=inputs,
                flush_results=results,
                flush_inexact=results,
                invalid_integer=integer,
            )
            word = control_word(rounding, environment, exact=exact, saturate=saturate)
            assert _read(word) == (rounding, environment, exact, saturate)
            words.add(word)
    assert len(words) == len(ROUNDINGS) * 3 * 3 * 2 * 2 * 4 * 4
    assert max(words) < 2**31


@pytest.mark.parametrize("name", ["IEEE", "RISCV", "ARM", "ARM_DEFAULT_NAN", "X86", "CUDA"])
def test_presets_are_read_back(name):
    row = getattr(presets, name)
    assert _read(control_word(Rounding.roundTiesToEven, row)) == (Rounding.roundTiesToEven, row, False, False)


def test_the_seed_is_no_part_of_the_word():
    words = {control_word(Stochastic(bits=8, seed=seed, offset=seed), presets.IEEE) for seed in (0, 1, 2**62)}
    assert len(words) == 1
