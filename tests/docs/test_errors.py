"""What the reference says is raised is raised: a call for every function, and for every kind of error it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import halfsim as hs
from docs._ext import public
from halfsim.operation import Operation
from tests.docs.errors import TABLE
from tests.docs.errors.row import Row
from tests.docs.test_docstrings import entries, is_function, section

OPERATIONS = [name for name in hs.__all__ if isinstance(getattr(hs, name), Operation)]

ELSEWHERE = {
    **{
        (f"halfsim.{name}", "RuntimeError"): "without a GPU"
        for name in (*OPERATIONS, "convert", "dot", "matmul", "sum")
    },
}
"""Errors of a machine, not of a call, and what raises them; tests of the functions themselves make such a machine."""


def documented(found: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the functions of the reference and each error that their ``Raises`` names."""
    for path, value in found:
        for line in section(value, "Raises").split("\n") if is_function(path, value) else ():
            if re.fullmatch(r"(\w+)(, \w+)*", line):
                yield from ((path, error) for error in line.split(", "))


def raising(rows: Iterable[Row]) -> set[tuple[str, str]]:
    """Return the functions and errors that rows, and those that all operations share, are of."""
    return {(row.name, row.error.__name__) for row in rows}


def missing(found: Iterable[tuple[str, Any]], rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Return documented errors that no row is of."""
    return sorted(set(documented(found)) - raising(rows) - ELSEWHERE.keys())


def _wrong(name: str) -> list[Row]:
    operation = getattr(hs, name)
    good = [np.float16([1, 2])] * operation.arity
    if operation.integers >= 0:
        good[operation.integers] = np.int16([1, 2])
    wide = [np.float32([1, 2]), *good[1:]]
    return [
        Row(f"halfsim.{name}", lambda f, _: f(*wide), TypeError, f"{name}: operand a is of type float32"),
        Row(f"halfsim.{name}", lambda f, _: f(*good, rounding="up"), ValueError, f"{name}: unknown rounding 'up'"),
    ]


ROWS = [*TABLE, *(row for name in OPERATIONS for row in _wrong(name))]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name.removeprefix('halfsim.')}-{row.error.__name__}")
def test_a_documented_error_is_raised(row: Row, tmp_path: Path) -> None:
    module, _, name = row.name.rpartition(".")
    if module == "halfsim.torch":
        pytest.importorskip("torch")
    with pytest.raises(row.error, match=re.escape(row.message)) as caught:
        row.call(public.found(module, name), tmp_path)
    assert len(str(caught.value).splitlines()) <= 1


def test_every_documented_error_of_a_function_has_a_row() -> None:
    assert missing(entries(), ROWS) == []


def test_every_row_is_of_a_documented_error() -> None:
    told = set(documented(entries()))
    kinds = {row: {base.__name__ for base in row.error.__mro__} for row in ROWS}
    assert [row for row, kind in kinds.items() if not {(row.name, name) for name in kind} & told] == []


def told(a: int) -> None:
    """Check.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    KeyError
        Never, IndexError
    """


def test_an_error_without_a_row_is_noticed() -> None:
    found = [("told", told)]
    assert list(documented(found)) == [("told", "TypeError"), ("told", "ValueError"), ("told", "KeyError")]
    row = Row("told", lambda f, _: f(1), TypeError, "")
    assert missing(found, [row]) == [("told", "KeyError"), ("told", "ValueError")]
