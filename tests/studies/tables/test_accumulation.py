from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from halfsim.rounding import Rounding
from halfsim.studies.tables.accumulation import (
    ACCUMULATORS,
    LENGTHS,
    ROUNDINGS,
    error_against_k,
    relative_error,
    stochastic_bits,
)
from halfsim.studies.tables.operands import Images, operands
from halfsim.training.data import fashion_folder


def found(rows: list[dict[str, Any]], accumulator: str) -> list[float]:
    return [row["error"] for row in rows if row["accumulator"] == accumulator]


@pytest.fixture(scope="module")
def digits() -> list[dict[str, Any]]:
    return error_against_k(dataset="digits")


@pytest.fixture(scope="module")
def clothes() -> list[dict[str, Any]]:
    if fashion_folder() is None:
        pytest.skip("no Fashion-MNIST on this system")
    return error_against_k(dataset="fashion-mnist")


@pytest.mark.parametrize("dataset", ["digits", "clothes"])
def test_long_sums_of_pixels_lose_what_is_known_to_be_lost(dataset: str, request: pytest.FixtureRequest) -> None:
    rows = request.getfixturevalue(dataset)
    sequential = found(rows, "binary16")
    assert len(sequential) == len(LENGTHS) and LENGTHS[-1] == 32768
    assert 0.2 <= sequential[-1] <= 0.6
    assert {row["data"] for row in rows} == {"digits" if dataset == "digits" else "fashion-mnist"}
    assert max(found(rows, "binary32")) < 3e-4
    assert sequential == sorted(sequential)
    # Rounded once, whatever the length; a tree and a compensation do nearly as well.
    assert max(found(rows, "binary16, exact")) < 2**-11
    assert max(found(rows, "binary16, pairwise")) < 2**-10
    assert max(found(rows, "binary16, compensated")) < 2**-11


@pytest.mark.parametrize("dataset", ["digits", "clothes"])
def test_more_terms_per_block_lose_less(dataset: str, request: pytest.FixtureRequest) -> None:
    rows = request.getfixturevalue(dataset)
    last = [found(rows, name)[-1] for name in ("binary16", "v100 f16", "a100 f16", "h100 f16")]
    assert last == sorted(last, reverse=True) and last[0] > 10 * last[-1]


def test_sums_of_both_signs_lose_per_cents() -> None:
    rows = error_against_k("pixels × normal", "digits", lengths=(32768,), side=4)
    assert 0.005 < found(rows, "binary16")[0] < 0.04
    assert found(rows, "binary32")[0] < 3e-4


def test_every_accumulator_and_rounding_has_every_length(digits: list[dict[str, Any]]) -> None:
    assert len(digits) == len(LENGTHS) * (len(ACCUMULATORS) + len(ROUNDINGS))
    assert {f"binary16, {r.name}" for r in Rounding if r != Rounding.roundTiesToEven} < set(ROUNDINGS)
    assert "binary16, stochastic" in ROUNDINGS


def test_directed_roundings_pull_one_way(digits: list[dict[str, Any]]) -> None:
    down, zero, up = (found(digits, f"binary16, roundToward{name}") for name in ("Negative", "Zero", "Positive"))
    assert down == zero  # of positive sums
    assert all(high > low for low, high in zip(down[2:], up[2:], strict=True))
    assert found(digits, "binary16, stochastic")[-1] < 0.05


def test_the_fused_chain_is_that_of_binary64_arithmetic() -> None:
    # The sum of a product and a binary16 number is exact in binary64, so one rounding by NumPy is the fused one.
    a, b = operands("pixels × normal", Images("digits", 1400), 2, 2048)
    z = np.zeros((2, 2), np.float16)
    for k in range(2048):
        z = (a[:, k, None].astype(np.float64) * b[k] + z).astype(np.float16)
    exact = a.astype(np.float64) @ b.astype(np.float64)  # exact as well: multiples of 2**-48 far below 2**5
    error = math.sqrt(((z - exact) ** 2).sum() / (exact**2).sum())
    rows = error_against_k("pixels × normal", "digits", lengths=(2048,), side=2)
    assert found(rows, "binary16") == [pytest.approx(error, rel=1e-12)]


def test_errors_are_over_finite_results() -> None:
    assert relative_error(np.array([np.inf, np.nan]), np.ones(2)) is None
    assert relative_error(np.array([1.5, np.inf, 0.5]), np.array([1.0, 9.0, 1.0])) == 0.5


def test_overflow_is_counted() -> None:
    rows = error_against_k(dataset="digits", lengths=(32768,), side=4)
    up = next(row for row in rows if row["accumulator"] == "binary16, roundTowardPositive")
    assert 0 < up["overflowed"] <= 1
    assert all(row["overflowed"] == 0 for row in rows if row["accumulator"] == "binary32")


def test_few_random_bits_round_down_too_often() -> None:
    rows = stochastic_bits(dataset="digits")
    assert [row["bits"] for row in rows] == list(range(1, 14))
    bias = [row["bias"] for row in rows]
    assert bias[0] < -0.1 and bias[0] < bias[1] < bias[2] < bias[3] < bias[4] and abs(bias[-1]) < 0.01
    assert rows[0]["error"] > 10 * rows[-1]["error"]
