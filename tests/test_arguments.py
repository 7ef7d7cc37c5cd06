"""A row that is made with other arguments says so in one sentence, and everything else stays as it was."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import halfsim as hs
from halfsim.policy import DynamicScale, Policy

MADE = (hs.Pairwise(), hs.Stochastic(13, 7), hs.RISCV, hs.BINARY16, hs.tensorcores.row("mi100"), Policy(name="p"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: hs.Pairwise(block=2),  # type: ignore[call-arg]
            "Pairwise: got an unexpected keyword argument 'block'; the arguments are format, rounding, flush_to_zero",
        ),
        (
            lambda: hs.Stochastic(),  # type: ignore[call-arg]
            "Stochastic: missing 2 required positional arguments: 'bits' and 'seed'; the arguments are bits, seed, "
            "offset",
        ),
        (
            lambda: hs.Stochastic(1, 2, 3, 4),  # type: ignore[call-arg]
            "Stochastic: got 4 argument(s) without a name, more than it takes; the arguments are bits, seed, offset",
        ),
        (
            lambda: hs.Exact(hs.BINARY16),  # type: ignore[misc]
            "Exact: got 1 argument(s) without a name, more than it takes; the arguments are format, rounding",
        ),
        (
            lambda: replace(DynamicScale(), rate=2),  # type: ignore[call-arg]
            "DynamicScale: got an unexpected keyword argument 'rate'; the arguments are initial, growth, ",
        ),
        (lambda: hs.Pairwise(format=3), "Pairwise: format=3 is a int; pass a halfsim.Format"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_call_names_the_row_and_its_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError) as raised:
        make()
    assert str(raised.value).startswith(message)
    assert "__init__" not in str(raised.value)


@pytest.mark.parametrize("row", MADE, ids=lambda row: type(row).__name__)
def test_rows_are_copied_pickled_and_described_as_before(row: Any) -> None:
    assert pickle.loads(pickle.dumps(row)) == copy.copy(row) == replace(row) == row
    assert list(inspect.signature(type(row)).parameters) == [*type(row).__dataclass_fields__]
