"""The ways to move a weight, on numbers worked out by hand and beside exact rational arithmetic."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import halfsim as hs
from halfsim.policy import Policy, WeightUpdate, named
from halfsim.training.arithmetic import Arithmetic, arithmetic
from halfsim.training.machine import Machine
from halfsim.training.weights import Kahan, Master, Rounded, Weights, make_weights, split
from tests.oracles import philox, rational

NEAREST = hs.Rounding.roundTiesToEven
PLAIN = arithmetic(hs.BINARY16)
FLUSHING = hs.Environment(flush_inputs=True, flush_results=True, nan=hs.IEEE.nan)
MODES = {"rne": 0, "rtz": 1, "rdn": 2, "rup": 3, "rna": 4, "odd": 5}
CONTEXTS = {
    (mode, flush): rational.Context(mode, replace(rational.IEEE, flush_inputs=flush, flush_results=flush))
    for mode in MODES
    for flush in (False, True)
}

ULP = 2.0**-10  # of binary16 in [1, 2)
ONE = np.float32([1.0])


def test_nearest_loses_less_than_half_an_ulp() -> None:
    weights = Rounded(ONE, NEAREST)
    assert weights.move(np.float32([0.49 * ULP])).tolist() == [True]
    assert weights.move(np.float32([0.5 * ULP])).tolist() == [True]  # a tie, to even
    assert weights.stored.tolist() == [1.0]
    assert weights.move(np.float32([0.51 * ULP])).tolist() == [False]
    assert weights.stored.tolist() == [1.0 + ULP]
    assert weights.move(np.float32([0.5 * ULP])).tolist() == [False]  # a tie, to even
    assert weights.stored.tolist() == [1.0 + 2 * ULP]


def test_nearest_rounds_the_change_first() -> None:
    # Δ = 2^-11 (1 + 2^-12) is above the tie, but rounded to binary16 it is the tie, which goes to even.
    weights = Rounded(ONE, NEAREST)
    weights.move(np.float32([2.0**-11 * (1 + 2.0**-12)]))
    assert weights.stored.tolist() == [1.0]


def test_a_master_copy_remembers() -> None:
    weights = Master(ONE, PLAIN)
    for _ in range(2):
        assert weights.move(np.float32([0.25 * ULP])).tolist() == [False]
        assert weights.stored.tolist() == [1.0]
    weights.move(np.float32([0.25 * ULP]))
    assert weights.stored.tolist() == [1.0 + ULP]
    assert weights.master.tolist() == [1.0 + 0.75 * ULP]
    assert weights.move(np.float32([2.0**-25])).tolist() == [True]  # half an ulp of binary32: lost even there


def test_kahan_remembers_in_binary16() -> None:
    weights = Kahan(ONE, PLAIN)
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
    weights = Kahan(random.normal(0, 1, 50).astype(np.float32), PLAIN)
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
    weights = Rounded(np.ones(20_000, np.float32), hs.Stochastic(bits=32, seed=7))
    unchanged = weights.move(np.full(20_000, 0.25 * ULP, np.float32))
    up = int(np.count_nonzero(weights.stored == 1 + ULP))
    assert np.count_nonzero(unchanged) == 20_000 - up
    assert abs(up - 5000) < 5 * (20_000 * 0.25 * 0.75) ** 0.5


def test_stochastic_rounding_draws_by_seed_step_and_index() -> None:
    weights = Rounded(np.ones(100, np.float32), hs.Stochastic(bits=32, seed=7))
    delta = np.full(100, 0.3 * ULP, np.float32)
    first = weights.stored.copy()
    for step in range(3):
        weights.move(delta)
        exact = first.astype(np.float64) + delta
        rounding = hs.Stochastic(bits=32, seed=7, offset=100 * step)
        first = hs.convert(exact, hs.BINARY16, rounding=rounding)
        assert np.array_equal(weights.stored, first)


UPDATES = [*WeightUpdate, hs.Rounding.roundTowardZero, hs.Stochastic(bits=5, seed=11)]


@pytest.mark.parametrize("update", UPDATES, ids=str)
def test_every_update_starts_alike_and_stays_in_place(update: Any) -> None:
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
    weights = Rounded(np.ones(2000, np.float32), hs.Stochastic(bits=1, seed=7))
    unchanged = weights.move(np.full(2000, -(2.0**-60), np.float32))
    down = int(np.count_nonzero(weights.stored == 1 - ULP / 2))
    assert np.count_nonzero(unchanged) == 2000 - down
    assert abs(down - 1000) < 5 * (2000 * 0.25) ** 0.5


def bits16(value: np.floating[Any]) -> int:
    return int(np.float16(value).view(np.uint16))


def moved_by_oracle(w: np.float16, delta: np.float32, context: rational.Context) -> int:
    """``r(w + r(Δ))`` in exact rational arithmetic, as a pattern."""
    change, _ = rational.convert(int(delta.view(np.uint32)), hs.BINARY32, hs.BINARY16, context)
    return rational.add(bits16(w), change, context)[0]


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flushed"])
@pytest.mark.parametrize("mode", MODES)
def test_a_rounding_moves_weights_as_exact_arithmetic_says(mode: str, flush: bool) -> None:
    random = np.random.default_rng(26)
    start = (random.normal(0, 1, 300) * 2.0 ** random.integers(-20, 4, 300)).astype(np.float16)
    start[:4] = [0.0, -0.0, 65504, 2.0**-14]
    weights = Rounded(start, hs.Rounding(MODES[mode]), FLUSHING if flush else hs.IEEE)
    expected, context = start.copy(), CONTEXTS[mode, flush]
    for _ in range(4):
        delta = (random.normal(0, 1, 300) * 2.0 ** random.integers(-30, 1, 300)).astype(np.float32)
        delta[2] = 100
        unchanged = weights.move(delta)
        after = np.array(
            [moved_by_oracle(w, d, context) for w, d in zip(expected, delta, strict=True)], np.uint16
        ).view(np.float16)
        assert np.array_equal(weights.stored.view(np.uint16), after.view(np.uint16))
        assert np.array_equal(unchanged, after == expected)
        expected = after


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flushed"])
@pytest.mark.parametrize("bits", [1, 8, 32])
def test_stochastic_rounding_rounds_the_exact_sum_once(bits: int, flush: bool) -> None:
    random = np.random.default_rng(27)
    start = (random.normal(0, 1, 60) * 2.0 ** random.integers(-16, 4, 60)).astype(np.float16)
    if flush:
        start[np.abs(start) < 2.0**-14] = 0
    weights = Rounded(start, hs.Stochastic(bits=bits, seed=2**63 + 5, offset=9), FLUSHING if flush else hs.IEEE)
    expected = start.copy()
    for step in range(5):
        delta = (random.normal(0, 1, 60) * 2.0 ** random.integers(-40, -4, 60)).astype(np.float32)
        weights.move(delta)
        for i in range(60):
            word = philox.word(2**63 + 5, 9 + 60 * step + i)
            exact = Fraction(float(expected[i])) + Fraction(float(delta[i]))
            pattern, _ = rational.round_fraction(exact, mode="stochastic", random=word, random_bits=bits)
            if flush and pattern & 0x7C00 == 0:
                pattern &= 0x8000
            assert bits16(weights.stored[i]) == pattern
        expected = weights.stored.copy()


def test_flushing_reaches_changes_and_weights() -> None:
    for environment, expected in ((hs.IEEE, 2.0**-14 + 2.0**-15), (FLUSHING, 2.0**-14)):
        weights = Rounded(np.float16([2.0**-14]), NEAREST, environment)
        assert weights.move(np.float32([2.0**-15])).tolist() == [expected == 2.0**-14]
        assert weights.stored.tolist() == [expected]
    weights = Rounded(np.float16([-(2.0**-13)]), hs.Stochastic(bits=8, seed=0), FLUSHING)
    weights.move(np.float32([2.0**-13 - 2.0**-15]))
    assert weights.stored.tolist() == [0] and np.signbit(weights.stored[0])


def policy_arithmetic(rounding: str, flush: bool) -> Arithmetic:
    how: dict[str, Any] = {"rounding": rounding, "environment": FLUSHING if flush else hs.IEEE}
    return replace(
        PLAIN,
        convert=lambda x: hs.convert(x, hs.BINARY16, **how),
        add=lambda x, y: hs.add(x, y, **how),
        subtract=lambda x, y: hs.subtract(x, y, **how),
    )


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flushed"])
@pytest.mark.parametrize("mode", MODES)
def test_the_stored_copy_of_a_master_is_rounded_as_the_policy_says(mode: str, flush: bool) -> None:
    random = np.random.default_rng(28)
    start = (random.normal(0, 1, 100) * 2.0 ** random.integers(-22, 4, 100)).astype(np.float32)
    weights = Master(start, policy_arithmetic(mode, flush))
    for _ in range(3):
        delta = (random.normal(0, 1, 100) * 2.0**-14).astype(np.float32)
        weights.move(delta)
        start = start + delta
        assert np.array_equal(weights.master, start)
        expected = [
            rational.convert(int(m.view(np.uint32)), hs.BINARY32, hs.BINARY16, CONTEXTS[mode, flush])[0] for m in start
        ]
        assert weights.stored.view(np.uint16).tolist() == expected


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flushed"])
@pytest.mark.parametrize("mode", ["rtz", "rup"])
def test_kahan_rounds_every_operation_as_the_policy_says(mode: str, flush: bool) -> None:
    random = np.random.default_rng(29)
    weights = Kahan(random.normal(0, 1, 50).astype(np.float16), policy_arithmetic(mode, flush))
    context = CONTEXTS[mode, flush]
    w, c = weights.stored.view(np.uint16).tolist(), [0] * 50
    for _ in range(5):
        delta = (random.normal(0, 1, 50) * 2.0 ** random.integers(-18, -6, 50)).astype(np.float32)
        weights.move(delta)
        for i, d in enumerate(delta):
            change, _ = rational.convert(int(d.view(np.uint32)), hs.BINARY32, hs.BINARY16, context)
            y = rational.add(change, c[i], context)[0]
            t = rational.add(w[i], y, context)[0]
            w[i], c[i] = t, rational.subtract(y, rational.subtract(t, w[i], context)[0], context)[0]
        assert weights.stored.view(np.uint16).tolist() == w
        assert weights.compensation.view(np.uint16).tolist() == c


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_stochastic_updates_have_a_key_of_their_own(rounding: int, seed: int) -> None:
    def moved(update: Any, stream: int = 0) -> Weights:
        weights = make_weights(np.ones(64, np.float32), Machine(Policy(name="x", update=update)), seed, stream)
        weights.move(np.full(64, 0.5 * ULP, np.float32))
        return weights

    words = np.random.Philox(key=np.array([rounding, seed], np.uint64)).random_raw(70)
    for stream in (0, 3):
        key = int(words[64 + stream])
        by_key = Rounded(np.ones(64, np.float32), hs.Stochastic(bits=7, seed=key))
        by_key.move(np.full(64, 0.5 * ULP, np.float32))
        assert np.array_equal(moved(hs.Stochastic(bits=7, seed=rounding), stream).stored, by_key.stored)
    plain = Rounded(np.ones(64, np.float32), hs.Stochastic(bits=32, seed=seed))
    plain.move(np.full(64, 0.5 * ULP, np.float32))
    assert np.array_equal(moved("stochastic").stored, plain.stored)
    assert not np.array_equal(moved("stochastic", 1).stored, plain.stored)


@pytest.mark.parametrize("update", UPDATES, ids=str)
def test_restored_weights_go_on_to_the_same_bits(update: Any) -> None:
    random = np.random.default_rng(30)
    initial = random.normal(0, 1, 90).astype(np.float32)
    deltas = (random.normal(0, 1, (8, 90)) * 2.0**-12).astype(np.float32)
    whole, part, resumed = (make_weights(initial, Machine(Policy(name="x", update=update)), 5) for _ in range(3))
    for delta in deltas[:4]:
        whole.move(delta)
        part.move(delta)
    state = part.state()
    part.move(deltas[0])  # a state is a copy
    view = resumed.stored
    resumed.restore(state)
    assert resumed.stored is view
    for delta in deltas[4:]:
        assert np.array_equal(whole.move(delta), resumed.move(delta))
    assert {name: part.tobytes() for name, part in whole.state().items()} == {
        name: part.tobytes() for name, part in resumed.state().items()
    }


def test_a_state_of_other_weights_is_refused() -> None:
    kahan = Kahan(ONE, PLAIN)
    with pytest.raises(
        ValueError, match=r"'compensation' is nothing in the state and float16 of shape \(1,\) in Kahan"
    ):
        kahan.restore(Rounded(ONE, NEAREST).state())
    with pytest.raises(ValueError, match=r"'stored' is float16 of shape \(2,\) in the state"):
        kahan.restore(Kahan(np.float32([3, 4]), PLAIN).state())
    with pytest.raises(ValueError, match="'master' is float32"):
        kahan.restore({**kahan.state(), "master": ONE})
    assert kahan.stored.tolist() == [1]


@given(
    arrays(np.uint16, 64, elements=st.integers(0, 0xFFFF)),
    arrays(np.uint32, 64, elements=st.integers(0, 2**32 - 1)),
    st.integers(1, 32),
)
def test_a_stochastic_move_rounds_the_exact_sum_whatever_the_sizes(w: Any, d: Any, bits: int) -> None:
    stored, delta = w.view(np.float16), d.view(np.float32)
    # Every second Δ near its weight, where sums cancel, and every fourth far below it.
    with np.errstate(all="ignore"):
        delta[::2] = stored[::2].astype(np.float32) * np.float32(-1.0 + 2.0**-20)
        delta[::4] *= np.float32(2.0**-60)
    rounding = hs.Stochastic(bits=bits, seed=5, offset=3)
    exact = hs.Exact(format=hs.BINARY16, rounding=rounding)
    with np.errstate(all="ignore"):
        expected = hs.dot(stored[:, None], np.ones(1, np.float16), delta, accumulator=exact)
        weights = Rounded(stored, rounding)
        weights.move(delta)
    finite = np.isfinite(stored) & np.isfinite(delta)
    assert np.array_equal(hs.to_bits(weights.stored[finite]), hs.to_bits(expected[finite]))
