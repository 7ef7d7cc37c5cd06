"""Comparisons that print the operands in hex, and the package's words for what an oracle calls otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import halfsim as hs
from halfsim import environment as presets
from halfsim.core.control import control_word
from halfsim.environment import Environment, Tininess
from halfsim.rounding import Stochastic, as_rounding
from tests.oracles.rational import Context, Machine

__all__ = ["STEPS", "as_environment", "assert_same", "control", "flagged", "rational_table"]

STEPS = pytest.mark.parametrize(
    "step", [pytest.param(5, id="every fifth"), pytest.param(1, id="every one", marks=pytest.mark.slow)]
)
"""Of what some modes and environments check on every operand, the share of it in the others; slow tests check all."""

TININESS = {"after": Tininess.afterRounding, "before": Tininess.beforeRounding}


def as_environment(machine: Machine) -> Environment:
    """The package's row of a machine that the oracle describes in its own words."""
    row: Environment = getattr(presets, machine.name)
    return replace(
        row,
        tininess=TININESS[machine.tininess],
        flush_inputs=machine.flush_inputs,
        flush_results=machine.flush_results,
        flush_inexact=machine.flush_inexact,
    )


def control(context: Context, *, exact: bool = False) -> int:
    """The core's control word of an oracle's context."""
    stochastic = context.mode == "stochastic"
    rounding = Stochastic(bits=context.random_bits, seed=0) if stochastic else as_rounding(context.mode)
    return control_word(rounding, as_environment(context.machine), exact=exact, saturate=context.saturate)


def flagged(
    name: str, operands: Sequence[NDArray[Any]], context: Context, **options: bool
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Patterns and flags of an operation of the package.

    Whatever loop the front door chooses, its value without flags and the general loop, which calls the core element by
    element, must give the same.
    """
    operation = getattr(hs, name)
    numbers = [hs.from_bits(column) for column in operands]
    settings: dict[str, Any] = {
        "rounding": context.mode,
        "environment": as_environment(context.machine),
        **options,
    }
    value, flags = operation.flagged(*numbers, **settings)
    alone = operation(*numbers, **settings)
    bits, again = (hs.to_bits(x) if x.dtype == np.float16 else x for x in (value, alone))
    assert_same(f"{name}: with flags and without", operands, [bits], [again])
    general, raised = np.empty_like(bits), np.empty_like(flags)
    word = control(context, exact=options.get("exact", False))
    columns = [x.view(np.uint16) for x in numbers]
    operation.kernel(*columns, general, raised, word, 0, 0, *operation.extra)
    assert_same(f"{name}: chosen loop and general loop", operands, [bits, flags], [general, raised])
    return bits, flags


def rational_table(
    function: Callable[..., tuple[int, int]], operands: Sequence[NDArray[Any]], *arguments: Any, **keywords: Any
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Apply a function of the rational oracle element by element."""
    columns = [np.asarray(column).tolist() for column in operands]
    rows = [function(*row, *arguments, **keywords) for row in zip(*columns, strict=True)]
    bits = np.array([row[0] for row in rows], dtype=object)
    wide = bits.size and (min(bits) < 0 or max(bits) > 2**63 - 1)
    return bits.astype(object if wide else np.int64), np.array([row[1] for row in rows], dtype=np.uint8)


def assert_same(
    label: str, operands: Sequence[NDArray[Any]], want: Sequence[NDArray[Any]], got: Sequence[NDArray[Any]]
) -> None:
    """Fail with the first disagreements in hex; `want` and `got` are (bits,) or (bits, flags)."""
    assert len(want) == len(got)
    wrong = np.zeros(len(operands[0]), dtype=bool)
    for expected, actual in zip(want, got, strict=True):
        assert np.shape(expected) == np.shape(actual) == wrong.shape, (np.shape(expected), np.shape(actual))
        wrong |= np.asarray(expected != actual, dtype=bool)
    places = np.flatnonzero(wrong)
    lines = [
        "  ({}): expected {}, got {}".format(
            ", ".join(f"{int(column[i]):#x}" for column in operands),
            " ".join(f"{int(column[i]):#x}" for column in want),
            " ".join(f"{int(column[i]):#x}" for column in got),
        )
        for i in places[:8]
    ]
    assert places.size == 0, "\n".join([f"{label}: {places.size} of {wrong.size} differ", *lines])
