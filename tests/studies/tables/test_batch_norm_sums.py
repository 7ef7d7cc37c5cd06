from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from halfsim.studies.tables.accumulation import ACCUMULATORS
from halfsim.studies.tables.batch_norm_sums import batch_norm_sums
from halfsim.studies.tables.operands import normal
from halfsim.training.words import Words


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, float], dict[str, Any]]:
    return {(row["accumulator"], row["scale"]): row for row in batch_norm_sums(channels=2)}


def test_exact_statistics_are_those_of_the_distribution(rows: dict[tuple[str, float], dict[str, Any]]) -> None:
    assert len(rows) == 2 * len(ACCUMULATORS)
    for scale in (1.0, 2.0):
        row = rows["binary32", scale]
        assert row["exact_mean"] == pytest.approx(scale * math.sqrt(2 / math.pi), rel=0.02)
        assert row["exact_variance"] == pytest.approx(scale**2 * (1 - 2 / math.pi), rel=0.03)
        assert row["mean"] == pytest.approx(row["exact_mean"], rel=1e-5)
        assert row["variance"] == pytest.approx(row["exact_variance"], rel=1e-4)


def test_sequential_sums_stall(rows: dict[tuple[str, float], dict[str, Any]]) -> None:
    row = rows["binary16", 1.0]
    assert row["mean"] < row["exact_mean"] / 4 and row["overflowed"] == 0
    # Every addend is below 8, half a step of the accumulator from 8192 on.
    assert row["mean"] <= 8192 / 50176 * (1 + 2**-10)


def test_trees_overflow_where_sums_exceed_binary16(rows: dict[tuple[str, float], dict[str, Any]]) -> None:
    small, large = rows["binary16, pairwise", 1.0], rows["binary16, pairwise", 2.0]
    assert small["mean"] == pytest.approx(small["exact_mean"], rel=2e-3) and small["overflowed"] == 0
    assert large["exact_mean"] * 50176 > 65520
    assert large["mean"] is None and large["variance"] is None and large["overflowed"] == 1


def test_sequential_statistics_are_those_of_numpy() -> None:
    row = next(row for row in batch_norm_sums(1000, (1.5,), 1) if row["accumulator"] == "binary16")
    x = (np.abs(normal(Words(14, 0), 1000)) * 1.5).astype(np.float16)
    total = np.float16(0)
    for value in x:
        total = np.float16(float(total) + float(value))
    mean = np.float16(float(total) / 1000)
    squares = np.float16(0)
    for value in x:
        deviation = np.float16(float(value) - float(mean))
        squares = np.float16(float(squares) + float(deviation) ** 2)
    assert (row["mean"], row["variance"]) == (float(mean), float(np.float16(float(squares) / 1000)))
