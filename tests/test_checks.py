"""Checks of the fields of accumulator rows: what they return, and that errors name row and field."""

from __future__ import annotations

import numpy as np
import pytest

from halfsim.checks import deterministic, integer, pair_of_formats, result_format
from halfsim.formats import BFLOAT16, BINARY16, BINARY32, BINARY64, E5M2
from halfsim.rounding import Rounding, Stochastic


def test_what_checks_return():
    assert integer("Row", "terms", np.int16(3), 1, 3) == 3
    assert type(integer("Row", "terms", np.int16(3), 1, 3)) is int
    assert result_format("Row", "output", BINARY64) is BINARY64
    assert deterministic("Row", "align", "rdn") is Rounding.roundTowardNegative
    assert pair_of_formats("Row", BFLOAT16) == (BFLOAT16, BFLOAT16)
    assert pair_of_formats("Row", (BFLOAT16, E5M2)) == (BFLOAT16, E5M2)
    assert pair_of_formats("Row", BINARY32) == (BINARY32, BINARY32)


@pytest.mark.parametrize(
    ("check", "error", "message"),
    [
        (lambda: integer("Row", "terms", 4, 1, 3), ValueError, "Row: terms=4 must be an integer from 1 to 3"),
        (lambda: integer("Row", "terms", "4", 1, 9), ValueError, "Row: terms='4' must be an integer"),
        (lambda: result_format("Row", "output", BINARY64, 24), ValueError, "Row: output=binary64 has precision 53"),
        (lambda: deterministic("Row", "align", Stochastic(bits=1, seed=0)), ValueError, "Row: align=Stochastic"),
        (lambda: pair_of_formats("Row", [BINARY16]), TypeError, "Row: inputs=.* is a list"),
        (lambda: pair_of_formats("Row", (BINARY16, BINARY64)), ValueError, "Row: inputs=binary64 has numbers that"),
    ],
)
def test_errors_name_row_and_field(check, error, message):
    with pytest.raises(error, match=message):
        check()
