"""A row that is made with other arguments says so in one sentence, and everything else stays as it was."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import DynamicScale, Policy

HALVES = np.ones(3, np.float16)
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
        (
            lambda: hs.dot(HALVES, HALVES, accu="h100:f32"),  # type: ignore[call-overload]
            "dot: got an unexpected keyword argument 'accu'; the arguments are A, B, C, accumulator, out, device",
        ),
        (
            lambda: hs.matmul.flagged(HALVES, HALVES, rounding="rne"),  # type: ignore[call-overload]
            "matmul.flagged: got an unexpected keyword argument 'rounding'; the arguments are A, B, C, accumulator, "
            "out, device; the accumulator says how sums are rounded",
        ),
        (
            lambda: hs.dot(HALVES),  # type: ignore[call-overload]
            "dot: missing 1 required positional argument: 'B'; the arguments are A, B, C",
        ),
        (
            lambda: hs.sum(HALVES, acc=1),  # type: ignore[call-overload]
            "sum: got an unexpected keyword argument 'acc'; the arguments are x, axis",
        ),
        (
            lambda: hs.convert(HALVES, hs.BINARY16, hs.RISCV),  # type: ignore[call-overload]
            "convert: got 3 argument(s) without a name, more than it takes; the arguments are x, to, rounding",
        ),
        (
            lambda: hs.convert.flagged(HALVES, hs.BINARY16, roundng="rne"),  # type: ignore[call-overload]
            "convert.flagged: got an unexpected keyword argument 'roundng'; the arguments are x, to, rounding",
        ),
        (
            lambda: hs.explain_dot(HALVES, HALVES, rounding="rne"),  # type: ignore[call-arg]
            "explain_dot: got an unexpected keyword argument 'rounding'; the arguments are a, b, c, accumulator; the",
        ),
        (
            lambda: hs.compare_dot(HALVES, HALVES),  # type: ignore[call-arg]
            "compare_dot: missing 1 required keyword-only argument: 'accumulators'; the arguments are a, b, c, ",
        ),
        (
            lambda: hs.tensorcores.row("h100", format="f32"),  # type: ignore[call-overload]
            "tensorcores.row: got an unexpected keyword argument 'format'; "
            "the arguments are gpu, output, instruction, inputs",
        ),
        (
            lambda: hs.explain(hs.dot, HALVES, HALVES),  # type: ignore[arg-type]
            "explain: unknown operation <halfsim product dot>; known are ",
        ),
        (
            lambda: hs.explain(HALVES, HALVES),  # type: ignore[arg-type]
            "explain: unknown operation 'ndarray'; known are ",
        ),
        (
            lambda: type(hs.dot).__call__(),  # type: ignore[call-arg]
            "MatrixProduct.__call__() missing",
        ),
        (lambda: hs.Pairwise(format=3), "Pairwise: format=3 is a int; pass a halfsim.Format"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_call_names_the_row_and_its_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError) as raised:
        make()
    assert str(raised.value).startswith(message)
    assert ("__" in str(raised.value)) == message.startswith("MatrixProduct")


@pytest.mark.parametrize("row", MADE, ids=lambda row: type(row).__name__)
def test_rows_are_copied_pickled_and_described_as_before(row: Any) -> None:
    assert pickle.loads(pickle.dumps(row)) == copy.copy(row) == replace(row) == row
    assert list(inspect.signature(type(row)).parameters) == [*type(row).__dataclass_fields__]


def test_errors_of_what_is_called_stay_as_they_are() -> None:
    class Odd:
        def __bool__(self) -> bool:
            raise TypeError("not Total.__call__() itself")

    with pytest.raises(TypeError, match=r"^not Total.__call__\(\) itself$"):
        hs.sum(HALVES, keepdims=Odd())  # type: ignore[call-overload]
