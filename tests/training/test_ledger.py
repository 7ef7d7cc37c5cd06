from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import halfsim as hs
from halfsim.formats import BINARY16, BINARY32
from halfsim.kernels.census import COUNTS
from halfsim.policy import Policy, StaticScale, named
from halfsim.rounding import Rounding, Stochastic
from halfsim.training.arithmetic import arithmetic, round16
from halfsim.training.ledger import KINDS, Ledger
from halfsim.training.loss_scale import loss_scaler
from halfsim.training.machine import Machine
from halfsim.training.models import Perceptron
from halfsim.training.optim import SGD, Adagrad, Adam
from halfsim.training.phases import Side
from halfsim.training.tasks import Classification
from halfsim.training.trainer import Experiment, Settings, Trainer
from halfsim.training.weights import make_weights


def counted(exact: Any, stored: Any, kind: str = "weight gradient") -> dict[str, int]:
    ledger = Ledger()
    ledger.count("a", kind, exact, stored)
    return ledger.as_dict()["layers"]["a"][kind]  # type: ignore[no-any-return]


def test_lost_updates_of_a_hand_example() -> None:
    ledger = Ledger()
    layers = [("a", slice(0, 2)), ("b", slice(2, 4))]
    full = np.float32([1, 2**-26, 2**-15, 1e6])
    stored = round16(full)
    for delta, same in (([0, 1e-9, 0.5, -1e-9], [1, 1, 0, 1]), ([1, 0, 0, 0], [0, 1, 1, 1])):
        change = np.float32(delta)
        ledger.update(layers, change, np.bool_(same), change, round16(change), full, stored)
    found = ledger.as_dict()
    assert found["updates_lost"] == 2 / 4
    updates, weights = ({name: layer[kind] for name, layer in found["layers"].items()} for kind in ("update", "weight"))
    assert {name: (count["lost"], count["moves"]) for name, count in updates.items()} == {"a": (1, 2), "b": (1, 2)}
    # Two steps of two updates: those below 2^-25 would be zero in binary16, the format of the weights.
    assert [updates[name]["flushed"] for name in "ab"] == [1, 1]
    assert [updates[name]["zero"] for name in "ab"] == [2, 2]
    assert weights["a"]["flushed"] == 2
    assert (weights["b"]["subnormal"], weights["b"]["overflowed"]) == (2, 2)
    assert ledger.first == {"layer": "b", "tensor": "weight", "step": 0}
    assert sum(found["histograms"]["update"]) == sum(found["histograms"]["weight"]) == 8


def test_bins_are_unit_steps_of_log2() -> None:
    ledger = Ledger()
    values = np.float32([0, -0.0, 2**-61, 2**-60, 2**-59 * 0.999, 2**-24, 1, 1.999, -2, 2**16, 2**17, np.inf, np.nan])
    ledger.count("", "activation gradient", values, values)
    bins = ledger.as_dict()["histograms"]["activation gradient"]
    found = {i: n for i, n in enumerate(bins) if n}
    at = lambda exponent: exponent + 60 + 1  # noqa: E731
    assert found == {0: 2, at(-60): 3, at(-24): 1, at(0): 2, at(1): 1, at(16): 2, 78: 2}
    assert sum(bins) == values.size


@given(arrays(np.uint32, st.integers(1, 50), elements=st.integers(0, 2**32 - 1)))
def test_every_number_is_counted_once_and_where_it_belongs(bits: np.ndarray) -> None:
    exact = bits.view(np.float32)
    stored = round16(exact)
    with np.errstate(all="ignore"):
        wide, size = exact.astype(np.float64), np.abs(stored.astype(np.float64))
    assert counted(exact, stored) == {
        "elements": exact.size,
        "zero": int((wide == 0).sum()),
        "flushed": int(((wide != 0) & (size == 0)).sum()),
        "subnormal": int(((size > 0) & (size < 2**-14)).sum()),
        "overflowed": int(np.isinf(size).sum()),
        "nan": int(np.isnan(size).sum()),
    }


def test_binary32_storage_flushes_nothing() -> None:
    values = np.float32([1e-40, 1e-30, 0])
    found = counted(values, values)
    assert (found["flushed"], found["subnormal"], found["zero"]) == (0, 1, 1)


def test_only_sampled_steps_are_counted_but_every_update_is() -> None:
    ledger = Ledger(every=3)
    samples = []
    for step in range(7):
        ledger.begin(step)
        ledger.count("a", "activation", np.ones(1, np.float32), np.ones(1, np.float16))
        one = np.ones(1, np.float16)
        ledger.update([("a", slice(None))], one, np.array([step % 2 == 0]), one, one, one, one)
        samples.append(ledger.end())
    assert [i for i, sample in enumerate(samples) if sample is not None] == [0, 3, 6]
    updates = [sample["ledger"]["a"]["update"] for sample in samples if sample is not None]
    assert [(update["lost"], update["moves"], update["elements"]) for update in updates] == [
        (1, 1, 1),
        (1, 3, 1),
        (2, 3, 1),
    ]
    assert ledger.as_dict()["layers"]["a"]["activation"]["elements"] == 3
    assert ledger.as_dict()["updates_lost"] == 4 / 7


def test_the_first_infinity_of_a_step_and_of_the_run_are_named() -> None:
    ledger = Ledger()
    for step, value in enumerate([1.0, np.inf, np.nan]):
        ledger.begin(step)
        ledger.watch("conv1", "activation", np.float16([[0, 1]]))
        ledger.watch("conv2", "weight gradient", np.float16([[1, value]]).T)
        ledger.watch("conv3", "activation", np.float32([np.nan]))
        layer = "conv2" if step else "conv3"
        assert ledger.first_of_step == {
            "layer": layer, "tensor": "weight gradient" if step else "activation", "step": step
        }  # fmt: skip
    assert ledger.first == {"layer": "conv3", "tensor": "activation", "step": 0}


def test_partial_sums_and_errors_are_kept_by_layer() -> None:
    ledger = Ledger()
    ledger.swallow("a", "forward", (3, 8))
    ledger.swallow("a", "forward", (1, 8))
    ledger.swallow("b", "weight_gradient", (0, 0))
    ledger.compare("a", np.float32([3, 4, 1e6, np.nan]), np.float16([3, 3, np.inf, np.nan]))
    found = ledger.as_dict()
    assert found["swallowed_by_layer"] == {"a": {"forward": [4, 16]}}
    assert found["swallowed"] == 0.25
    assert found["gradient_error"] == pytest.approx(0.2)


def test_a_restored_ledger_is_the_same() -> None:
    ledger = Ledger(every=2)
    random = np.random.default_rng(1)
    for step in range(3):
        ledger.begin(step)
        x = random.normal(0, 1e-4, 50).astype(np.float32)
        ledger.count("a.b", "weight gradient", x, round16(x))
        ledger.compare("a.b", x, round16(x))
        ledger.swallow("a.b", "forward", (step, 5))
        ledger.watch("a.b", "activation", np.float16([np.inf]))
        ledger.update([("a.b", slice(None))], x, np.zeros(50, np.bool_), x, round16(x), x, round16(x))
        if step < 2:
            ledger.end()
    for value in ledger.state().values():
        if isinstance(value, np.ndarray):
            value[...] = 7  # a copy of its own
    other = Ledger(every=2)
    other.restore(ledger.state())
    assert other.as_dict() == ledger.as_dict()
    assert other.first == ledger.first is not None
    for books in (ledger, other):
        books.begin(4)
    assert other.end() == ledger.end() is not None


def test_an_empty_ledger_has_no_shares() -> None:
    found = Ledger().as_dict()
    assert {value for key, value in found.items() if isinstance(value, float)} == {0.0}
    assert set(found["histograms"]) == set(KINDS)
    assert len(COUNTS) == 6


def test_an_optimizer_state_that_overflows_is_named_although_the_update_hides_it() -> None:
    ledger = Ledger()
    ledger.begin(3)
    state = Adam(rate=1e-3, epsilon=1e-3).start(4, arithmetic(hs.BINARY16))
    # The square of 300 exceeds binary16: the denominator is infinite, and the update zero.
    delta = state.step(np.float32([1, 1, 1, 4e4]))
    assert delta[3] == 0
    ledger.states([("first", slice(0, 2)), ("second", slice(2, 4))], state.vectors)
    assert ledger.first == {"layer": "second", "tensor": "optimizer state v", "step": 3}


def test_an_optimizer_state_of_binary32_that_overflows_is_named_too() -> None:
    ledger = Ledger()
    state = Adam(rate=1e-3).start(2, arithmetic(hs.BINARY32))
    with np.errstate(all="ignore"):
        assert state.step(np.float32([1, 3e19]))[1] == 0
    ledger.states([("a", slice(0, 1)), ("b", slice(1, 2))], state.vectors)
    assert ledger.first == {"layer": "b", "tensor": "optimizer state v", "step": 0}


def test_a_run_names_the_optimizer_state_that_overflows() -> None:
    pytest.importorskip("sklearn")
    policy = replace(named("mixed").scaled(StaticScale(scale=1.0), "x"), optimizer_state=hs.BINARY16)
    settings = Settings(
        model=Perceptron(sizes=(64, 8, 10)), optimizer=Adagrad(rate=1e-3), batch=8, steps=2, evaluate_every=2
    )
    trainer = Trainer(Experiment(task=Classification(dataset="digits"), settings=settings, policy=policy, seed=0))
    trainer._sides[0].optimizer.vectors["squares"][:] = np.inf
    trainer.advance()
    assert trainer.record().first_nonfinite == {"layer": "linear1", "tensor": "optimizer state squares", "step": 0}


def update_counts(policy: Policy, gradient: float) -> dict[str, int]:
    """One step of plain SGD at rate 1 over one number; return its counts of the update."""
    machine, ledger = Machine(policy), Ledger()
    side = Side(
        name="",
        weights=make_weights(np.zeros(1, np.float32), machine, 0),
        optimizer=SGD(1.0).start(1, machine.optimizer),
        scaler=loss_scaler(policy.loss_scale),
        views={},
        layers=[("a", slice(None))],
    )
    side.move(np.float32([-gradient]), policy, ledger)
    return ledger.as_dict()["layers"]["a"]["update"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("changes", "delta", "flushed", "subnormal"),
    [
        ({}, 2**-25, 1, 0),
        ({}, 2**-24, 0, 1),
        ({"rounding": "roundTowardPositive"}, 2**-40, 0, 1),
        ({"rounding": "roundTowardPositive"}, -(2**-40), 1, 0),
        ({"rounding": "roundTowardZero"}, 1.9 * 2**-25, 1, 0),
        ({"flush_to_zero": True}, 2**-15, 1, 0),
        ({"flush_to_zero": True, "update": "nearest"}, 2**-15, 1, 0),
        ({"update": Rounding.roundTowardPositive}, 2**-40, 0, 1),
        ({"update": "stochastic"}, 2**-25, 1, 0),
        ({"rounding": Stochastic(bits=8, seed=0)}, 2**-25, 1, 0),
        ({"update": "kahan", "rounding": "roundTowardPositive"}, 2**-40, 0, 1),
        ({"weights": BINARY32, "activations": BINARY32, "gradients": BINARY32}, 2**-40, 0, 0),
    ],
)
def test_updates_are_flushed_as_their_policy_does(
    changes: dict[str, Any], delta: float, flushed: int, subnormal: int
) -> None:
    found = update_counts(replace(named("mixed"), **changes), delta)
    assert (found["elements"], found["zero"], found["flushed"], found["subnormal"]) == (1, 0, flushed, subnormal)


def test_an_update_that_a_binary16_optimizer_flushes_is_counted() -> None:
    pure = replace(named("mixed"), optimizer_state=BINARY16)
    # The gradient itself becomes zero as the optimizer takes it; the step in binary32 is not zero.
    found = update_counts(pure, 2**-26)
    assert (found["zero"], found["flushed"], found["moves"], found["lost"]) == (0, 1, 0, 0)
    assert update_counts(pure, 0.0)["zero"] == 1
