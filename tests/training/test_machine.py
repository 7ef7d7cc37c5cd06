from __future__ import annotations

import numpy as np
import pytest

import halfsim as hs
from halfsim.accumulators import FP16, FP32, Sequential
from halfsim.policy import Policy, named
from halfsim.rounding import Stochastic
from halfsim.training.ledger import Ledger
from halfsim.training.machine import Machine

ACCUMULATORS = [FP32, FP16, "v100:f16", "a100:f32", "h100:f16", Sequential(rounding=Stochastic(bits=9, seed=4))]


def binary16(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).normal(0, 1, shape).astype(np.float16)


@pytest.mark.parametrize(
    "accumulator", ACCUMULATORS, ids=["FP32", "FP16", "v100:f16", "a100:f32", "h100:f16", "stochastic"]
)
@pytest.mark.parametrize(("rows", "terms", "columns"), [(40, 37, 3), (3, 37, 40), (5, 8, 5)])
def test_products_have_the_bits_of_matmul_whatever_their_shape(
    accumulator: object, rows: int, terms: int, columns: int
) -> None:
    x, w, b = binary16(rows, terms), binary16(terms, columns), binary16(columns)
    machine = Machine(Policy(name="x", forward=accumulator, data_gradient=accumulator, weight_gradient=accumulator))  # type: ignore[arg-type]
    stored = machine.forward(x, w, b)
    assert stored.dtype == np.float16
    expected = hs.convert(hs.matmul(x, w, b, accumulator=accumulator), hs.BINARY16)  # type: ignore[arg-type]
    assert np.array_equal(hs.to_bits(stored), hs.to_bits(expected))
    expected = hs.convert(hs.matmul(x, w, accumulator=accumulator), hs.BINARY16)  # type: ignore[arg-type]
    assert np.array_equal(hs.to_bits(machine.weight_gradient(x, w)), hs.to_bits(expected))
    assert np.array_equal(hs.to_bits(machine.data_gradient(x, w)), hs.to_bits(expected))


def test_every_product_has_its_own_accumulator() -> None:
    x, w = np.ones((1, 4096), np.float16), np.ones((4096, 1), np.float16)
    machine = Machine(Policy(name="x", weight_gradient=FP16))
    assert machine.forward(x, w, np.zeros(1, np.float16)).item() == 4096
    assert machine.data_gradient(x, w).item() == 4096
    assert machine.weight_gradient(x, w).item() == 2048


def test_bias_gradients_follow_the_reductions() -> None:
    g = np.ones((4096, 2), np.float16)
    assert Machine(named("mixed")).bias_gradient(g).tolist() == [4096, 4096]
    assert Machine(named("binary16-pure")).bias_gradient(g).tolist() == [2048, 2048]
    assert Machine(named("binary32")).bias_gradient(g.astype(np.float32)).tolist() == [4096, 4096]


def test_what_storing_flushes_is_counted() -> None:
    ledger = Ledger()
    machine = Machine(named("mixed"), ledger)
    stored = machine.store_gradient("weight", np.float32([0, 2**-25, 2**-25 * 1.001, -(2**-30), 1e6, 1]))
    assert stored.tolist() == [0, 0, 2**-24, 0, np.inf, 1]
    assert ledger.as_dict()["counts"]["weight"] == [5, 2, 1]
    assert ledger.shares()["gradients_flushed"] == 0.4
    assert ledger.shares()["gradients_overflowed"] == 0.2


def test_what_a_binary16_accumulator_flushes_is_counted() -> None:
    ledger = Ledger()
    machine = Machine(named("mixed").accumulating(FP16, "x"), ledger)
    # Two products of 2^-26 each: a binary16 accumulator loses both, a binary32 one has 2^-25.
    assert machine.weight_gradient(np.full((1, 2), 2**-13, np.float16), np.full((2, 1), 2**-13, np.float16)).item() == 0
    assert ledger.as_dict()["counts"]["weight"] == [1, 1, 0]


def test_the_error_of_an_accumulator_is_measured() -> None:
    ledger = Ledger()
    Machine(named("mixed").accumulating(FP16, "x"), ledger).weight_gradient(
        np.ones((1, 4096), np.float16), np.ones((4096, 1), np.float16)
    )
    assert ledger.shares()["gradient_error"] == 0.5
