"""The loss scales, beside PyTorch's state machine and Megatron-LM's hysteresis, and at their edges."""

from __future__ import annotations

import json
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfsim.policy import DynamicScale, LayerScale, LossScale, NoScale, StaticScale
from halfsim.training.loss_scale import LossScaler, layer_factor, loss_scaler, unscale

# Steps whose gradient overflowed when a classifier of digits (64-32-10, Adam 1e-3, batch 8) was trained for 120 steps
# under DynamicScale(initial=2**24, interval=7).
RECORDED = [0, 1, 2, 3, 4, 5, 7, 16, 25, 35, 44, 53, 61, 69, 78, 79, 94, 104, 115]
RANDOM = np.random.default_rng(25)
SEQUENCES = {
    "all finite": np.ones(60, bool),
    "all overflow": np.zeros(60, bool),
    "one late overflow": np.arange(60) != 41,
    "overflow just before growth": (np.arange(60) % 5) != 4,
    "recorded": ~np.isin(np.arange(120), RECORDED),
    "rare": RANDOM.random(400) > 0.05,
    "often": RANDOM.random(400) > 0.4,
}


def compare_with_pytorch(row: DynamicScale, sequence: list[bool]) -> int:
    """Run both state machines on a sequence of finite and overflowing steps; return how many were compared."""
    torch = pytest.importorskip("torch")
    theirs = torch.amp.GradScaler(
        "cpu",
        init_scale=row.initial,
        growth_factor=row.growth,
        backoff_factor=row.backoff,
        growth_interval=row.interval,
    )
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    theirs.scale(torch.zeros(1))
    mine = loss_scaler(row)
    for compared, finite in enumerate(sequence):
        # PyTorch's scale has no bounds and can reach zero; the comparison ends before.
        if mine.scale < 2.0**-100:
            return compared
        parameter.grad = torch.tensor([theirs.get_scale() if finite else float("inf")])
        before = parameter.detach().clone()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.step(optimizer)
            theirs.update()
        skipped = bool((parameter == before).all())
        assert mine.skips(finite) == skipped == (not finite)
        mine, _ = mine.adjust(finite)
        assert mine.scale == theirs.get_scale()
        assert mine.good == theirs._get_growth_tracker()
    return len(sequence)


UNBOUNDED = {"floor": 2.0**-149, "ceiling": 2.0**128 - 2.0**104}  # all of binary32


@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize(
    ("initial", "growth", "backoff", "interval"),
    [
        (65536.0, 2.0, 0.5, 2000),
        (65536.0, 2.0, 0.5, 5),
        (2.0**24, 2.0, 0.5, 7),
        (2.0**120, 2.0, 0.5, 3),
        (3.0, 1.7, 0.3, 4),
    ],
)
def test_the_scale_moves_as_that_of_pytorch(
    sequence: str, initial: float, growth: float, backoff: float, interval: int
) -> None:
    row = DynamicScale(initial=initial, growth=growth, backoff=backoff, interval=interval, **UNBOUNDED)
    assert compare_with_pytorch(row, SEQUENCES[sequence].tolist()) >= 50


@settings(deadline=None, max_examples=60)
@given(
    st.integers(-20, 127).map(lambda e: 2.0**e) | st.floats(2.0**-10, 2.0**127, width=32),
    st.sampled_from([1.001, 1.5, 2.0, 16.0, 1e20]),
    st.sampled_from([0.5, 0.25, 0.999, 1 / 3]),
    st.integers(1, 6),
    st.lists(st.booleans() | st.just(True), min_size=1, max_size=50),
)
def test_the_scale_moves_as_that_of_pytorch_on_any_sequence(
    initial: float, growth: float, backoff: float, interval: int, sequence: list[bool]
) -> None:
    row = DynamicScale(initial=initial, growth=growth, backoff=backoff, interval=interval, **UNBOUNDED)
    assert compare_with_pytorch(row, sequence) >= 1


def test_growth_beyond_binary32_is_left_out_and_starts_the_count_again() -> None:
    scaler = loss_scaler(DynamicScale(initial=2.0**127, interval=2, **UNBOUNDED))
    seen = []
    for _ in range(4):
        scaler, why = scaler.adjust(True)
        seen.append((scaler.scale, scaler.good, why))
    assert seen == [(2.0**127, 1, ""), (2.0**127, 0, "")] * 2


class Hysteresis:
    """Megatron-LM's rule as its source tells it, in exact arithmetic: growth and backoff are powers of two."""

    def __init__(self, initial: int, interval: int, tolerance: int) -> None:
        self.scale = Fraction(initial)
        self.interval, self.tolerance = interval, tolerance
        self.clean, self.patience = 0, tolerance

    def update(self, overflow: bool) -> None:
        self.clean = 0 if overflow else self.clean + 1
        if overflow:
            self.patience -= 1
        if overflow and self.patience <= 0:
            self.scale = max(self.scale / 2, Fraction(1))
        if self.clean == self.interval:
            self.clean, self.patience = 0, self.tolerance
            self.scale *= 2


@settings(max_examples=max(150, settings.default.max_examples))
@given(st.integers(1, 4), st.integers(1, 5), st.lists(st.booleans() | st.just(True), max_size=60))
def test_hysteresis_is_that_of_megatron(hysteresis: int, interval: int, sequence: list[bool]) -> None:
    row = DynamicScale(initial=2.0**16, interval=interval, floor=1.0, hysteresis=hysteresis)
    mine, theirs = loss_scaler(row), Hysteresis(2**16, interval, hysteresis)
    for finite in sequence:
        mine, _ = mine.adjust(finite)
        theirs.update(not finite)
        assert Fraction(mine.scale) == theirs.scale
        assert mine.good == theirs.clean
        assert mine.left == max(theirs.patience, 0)


def test_tolerated_overflows_skip_and_say_so() -> None:
    scaler = loss_scaler(DynamicScale(initial=8.0, hysteresis=3, interval=2))
    seen = []
    for finite in (False, False, False, False, True, True, False):
        skipped = scaler.skips(finite)
        scaler, why = scaler.adjust(finite)
        seen.append((skipped, scaler.scale, why.removeprefix("a gradient overflowed: step skipped, ")))
    assert seen == [
        (True, 8, "scale 8 stays, 2 more until it backs off"),
        (True, 8, "scale 8 stays, 1 more until it backs off"),
        (True, 4, "scale 8 -> 4"),
        (True, 2, "scale 4 -> 2"),
        (False, 2, ""),
        (False, 4, "2 finite steps: scale 2 -> 4"),
        (True, 4, "scale 4 stays, 2 more until it backs off"),
    ]


def test_hysteresis_starts_again_at_the_ceiling_too() -> None:
    scaler = loss_scaler(DynamicScale(initial=8.0, ceiling=8.0, hysteresis=2, interval=1))
    for finite in (False, True, False):
        scaler, _ = scaler.adjust(finite)
        assert scaler.scale == 8


def test_unscaling_takes_the_reciprocal_in_binary64() -> None:
    scaler = loss_scaler(StaticScale(scale=3.0))
    gradient = np.float16([1, 10, 65504])
    expected = gradient.astype(np.float32) * np.float32(1 / 3)
    assert scaler.unscale(gradient).tolist() == expected.tolist()
    assert scaler.unscale(gradient).dtype == np.float32


@pytest.mark.parametrize(("row", "scale"), [(NoScale(), 1.0), (StaticScale(scale=8.0), 8.0)])
def test_fixed_scales_stay_and_skip_nothing(row: NoScale | StaticScale, scale: float) -> None:
    scaler = loss_scaler(row)
    for finite in (True, False):
        assert scaler.scale == scale
        assert not scaler.skips(finite)
        scaler, why = scaler.adjust(finite)
        assert why == ""


def test_the_floor_holds_and_says_so() -> None:
    scaler = loss_scaler(DynamicScale(initial=4.0, floor=1.0))
    moves = []
    for _ in range(4):
        scaler, why = scaler.adjust(False)
        moves.append((scaler.scale, why))
    assert [scale for scale, _ in moves] == [2, 1, 1, 1]
    assert moves[0][1] == "a gradient overflowed: step skipped, scale 4 -> 2"
    assert moves[2][1].endswith("scale 1 -> 1 (its floor)")


def test_the_ceiling_holds() -> None:
    scaler = loss_scaler(DynamicScale(initial=4.0, interval=1, ceiling=8.0))
    scales = []
    for _ in range(3):
        scaler, why = scaler.adjust(True)
        scales.append((scaler.scale, bool(why)))
    assert scales == [(8.0, True), (8.0, False), (8.0, False)]


def test_growth_needs_consecutive_finite_steps() -> None:
    scaler = loss_scaler(DynamicScale(initial=8.0, interval=3))
    scales = []
    for finite in (True, True, False, True, True, True):
        scaler, why = scaler.adjust(finite)
        scales.append(scaler.scale)
    assert scales == [8, 8, 4, 4, 4, 8]
    assert why == "3 finite steps: scale 4 -> 8"


ROWS = [NoScale(), StaticScale(scale=3.0), DynamicScale(interval=3, hysteresis=2), LayerScale()]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_restored_scaler_goes_on_alike(row: LossScale) -> None:
    def run(scaler: LossScaler, sequence: list[bool]) -> tuple[LossScaler, list[str]]:
        log = []
        for finite in sequence:
            scaler, why = scaler.adjust(finite)
            log.append(why)
        return scaler, log

    half, _ = run(loss_scaler(row), [False, True, True])
    state = json.loads(json.dumps(half.state()))
    resumed = loss_scaler(row).restore(state)
    assert resumed == half
    rest = [False, False, True, True, True, True]
    assert run(resumed, rest) == run(half, rest)


def test_a_state_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="a loss scale has scale, good, left, this one has scale"):
        loss_scaler(NoScale()).restore({"scale": 1.0})


@pytest.mark.parametrize("bound", [1.0, 256.0])
def test_a_scale_per_layer_skips_what_is_not_finite_and_halves_its_bound(bound: float) -> None:
    scaler = loss_scaler(LayerScale(initial=4096.0, largest=bound))
    assert (scaler.scale, scaler.bound) == (4096, bound)
    assert scaler.skips(False) and not scaler.skips(True)
    assert scaler.adjust(True) == (scaler, "")
    cause = "the update of fc1 overflowed first"
    scaler, why = scaler.adjust(False, cause)
    assert (scaler.scale, scaler.bound) == (4096, bound / 2)
    assert why == f"{cause}: step skipped, layers stay below {bound:g} -> {bound / 2:g}"
    assert loss_scaler(LayerScale(initial=4096.0, largest=bound)).restore(scaler.state()) == scaler
    for _ in range(200):
        scaler, _ = scaler.adjust(False)
    assert scaler.bound == 2.0**-24


@given(
    st.floats(2.0**-149, 2.0**127, width=32),
    st.floats(2.0**-24, 65504.0) | st.integers(-24, 15).map(lambda e: 2.0**e),
)
def test_the_factor_of_a_layer_is_the_power_of_two_that_fits(largest: float, bound: float) -> None:
    factor = layer_factor(largest, bound)
    exact = Fraction(factor)
    assert exact > 0 and 1 in (exact.numerator, exact.denominator)
    assert (exact.numerator * exact.denominator).bit_count() == 1
    # The largest and the smallest factor are those that are normal numbers of binary32.
    assert Fraction(bound) / 2 <= Fraction(largest) * exact or factor == 2.0**127
    assert Fraction(largest) * exact < Fraction(bound) or factor == 2.0**-126
    assert 2.0**-126 <= factor <= 2.0**127


@pytest.mark.parametrize("largest", [0.0, float("inf"), float("nan")])
def test_a_layer_without_a_magnitude_keeps_its_scale(largest: float) -> None:
    assert layer_factor(largest, 256.0) == 1.0


@given(st.integers(-100, 100))
def test_a_power_of_two_is_unscaled_exactly(exponent: int) -> None:
    gradient = np.float16([1, -1.5, 2.0**-24, 65504])
    got = unscale(gradient, 2.0**exponent)
    assert got.dtype == np.float32
    expected = [Fraction(float(g)) / Fraction(2) ** exponent for g in gradient]
    assert [Fraction(value) for value in got.tolist()] == expected
