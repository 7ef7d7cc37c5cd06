"""The four ways to move a weight, on numbers worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import Policy, WeightUpdate, named
from halfsim.training.machine import Machine
from halfsim.training.weights import (
    Kahan,
    Master,
    Nearest,
    StochasticallyRounded,
    make_weights,
    split,
)

ULP = 2.0**-10  # of binary16 in [1, 2)
ONE = np.float32([1.0])


def test_nearest_loses_less_than_half_an_ulp() -> None:
    weights = Nearest(ONE)
    assert weights.move(np.float32([0.49 * ULP])).tolist() == [True]
    assert weights.move(np.float32([0.5 * ULP])).tolist() == [True]  # a tie, to even
    assert weights.stored.tolist() == [1.0]
    assert weights.move(np.float32([0.51 * ULP])).tolist() == [False]
    assert weights.stored.tolist() == [1.0 + ULP]
    assert weights.move(np.float32([0.5 * ULP])).tolist() == [False]  # a tie, to even
    assert weights.stored.tolist() == [1.0 + 2 * ULP]


def test_nearest_rounds_the_change_first() -> None:
    # Δ = 2^-11 (1 + 2^-12) is above the tie, but rounded to binary16 it is the tie, which goes to even.
    weights = Nearest(ONE)
    weights.move(np.float32([2.0**-11 * (1 + 2.0**-12)]))
    assert weights.stored.tolist() == [1.0]


def test_a_master_copy_remembers() -> None:
    weights = Master(ONE, Machine(named("mixed")))
    for _ in range(2):
        assert weights.move(np.float32([0.25 * ULP])).tolist() == [False]
        assert weights.stored.tolist() == [1.0]
    weights.move(np.float32([0.25 * ULP]))
    assert weights.stored.tolist() == [1.0 + ULP]
    assert weights.master.tolist() == [1.0 + 0.75 * ULP]
    assert weights.move(np.float32([2.0**-25])).tolist() == [True]  # half an ulp of binary32: lost even there


def test_kahan_remembers_in_binary16() -> None:
    weights = Kahan(ONE)
    for expected in (0.25, 0.5):
        assert weights.move(np.float32([0.25 * ULP])).tolist() == [False]
        assert weights.stored.tolist() == [1.0]
        assert weights.compensation.tolist() == [expected * ULP]
    weights.move(np.float32([0.25 * ULP]))
    assert weights.stored.tolist() == [1.0 + ULP]
    assert weights.compensation.tolist() == [-0.25 * ULP]
    assert weights.move(np.float32([1e-9])).tolist() == [True]


def test_kahan_follows_its_definition_bit_for_bit() -> None:
    random = np.random.default_rng(23)
    weights = Kahan(random.normal(0, 1, 50).astype(np.float32))
    w, c = weights.stored.copy(), np.zeros(50, np.float16)
    exact = [Fraction(float(value)) for value in w]
    for _ in range(200):
        delta = random.normal(1e-4, 1e-4, 50).astype(np.float32)
        weights.move(delta)
        # NumPy's float16 is correctly rounded, and no code of the package.
        y = delta.astype(np.float16) + c
        t = w + y
        c, w = y - (t - w), t
        assert np.array_equal(weights.stored.view(np.uint16), w.view(np.uint16))
        assert np.array_equal(weights.compensation, c)
        exact = [value + Fraction(float(np.float16(d))) for value, d in zip(exact, delta, strict=True)]
    assert max(abs(float(value) - float(got)) for value, got in zip(exact, w, strict=True)) < 2.0**-9


def test_stochastic_rounding_moves_in_proportion() -> None:
    weights = StochasticallyRounded(np.ones(20_000, np.float32), seed=7)
    unchanged = weights.move(np.full(20_000, 0.25 * ULP, np.float32))
    up = int(np.count_nonzero(weights.stored == 1 + ULP))
    assert np.count_nonzero(unchanged) == 20_000 - up
    assert abs(up - 5000) < 5 * (20_000 * 0.25 * 0.75) ** 0.5


def test_stochastic_rounding_draws_by_seed_step_and_index() -> None:
    weights = StochasticallyRounded(np.ones(100, np.float32), seed=7)
    delta = np.full(100, 0.3 * ULP, np.float32)
    first = weights.stored.copy()
    for step in range(3):
        weights.move(delta)
        exact = first.astype(np.float64) + delta
        rounding = hs.Stochastic(bits=32, seed=7, offset=100 * step)
        first = hs.convert(exact, hs.BINARY16, rounding=rounding)
        assert np.array_equal(weights.stored, first)


@pytest.mark.parametrize("update", list(WeightUpdate))
def test_every_update_starts_alike_and_stays_in_place(update: WeightUpdate) -> None:
    initial = np.float32([1 / 3, -(2.0**-30), 5])
    weights = make_weights(initial, Machine(Policy(name="x", update=update)), seed=1)
    assert np.array_equal(weights.stored, hs.convert(initial, hs.BINARY16))
    view = split(weights.stored, [(1, 2), (1,)])[0]
    weights.move(np.float32([1, 1, 1]))
    assert view.tolist() == [weights.stored[:2].tolist()]
    assert float(view[0, 1]) == 1


def test_the_binary32_policy_rounds_nothing() -> None:
    initial = np.float32([1 / 3])
    weights = make_weights(initial, Machine(named("binary32")), seed=1)
    assert weights.stored.dtype == np.float32
    assert weights.move(np.float32([2.0**-20])).tolist() == [False]
    assert weights.stored.tolist() == (initial + np.float32(2.0**-20)).tolist()


def test_a_tiny_change_is_seen_by_the_one_rounding() -> None:
    # 1 - 2^-60 is 1 in binary64, which no rounding moves. Exactly, it is 1 - 2^-49 ulp above 1 - 2^-11, and with one
    # random bit that goes up for half of the words.
    weights = StochasticallyRounded(np.ones(2000, np.float32), seed=7, bits=1)
    unchanged = weights.move(np.full(2000, -(2.0**-60), np.float32))
    down = int(np.count_nonzero(weights.stored == 1 - ULP / 2))
    assert np.count_nonzero(unchanged) == 2000 - down
    assert abs(down - 1000) < 5 * (2000 * 0.25) ** 0.5
