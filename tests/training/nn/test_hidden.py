"""Infinities that no output shows are named by the ledger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import halfsim as hs
from halfsim.policy import named
from halfsim.training import nn
from halfsim.training.machine import Machine
from halfsim.training.tape import Tape, Variable

NARROW = replace(named("mixed"), batch_norm=hs.BINARY16, loss=hs.BINARY16)


def normalised(tape: Tape, x: np.ndarray, momentum: float = 0.1, rule: str = "weights") -> np.ndarray:
    gain, shift = tape.parameter(np.ones(1, np.float16)), tape.parameter(np.zeros(1, np.float16))
    with tape.layer("bn"), np.errstate(all="ignore"):
        return nn.batch_norm(tape, tape.parameter(x), gain, shift, "bn", momentum, rule=rule).value


def test_a_running_mean_that_overflows_is_named_once() -> None:
    machine = Machine(NARROW)
    tape = Tape(machine)
    assert np.isfinite(normalised(tape, np.float16([[-60_000]]), 1.0, "difference")).all()
    assert machine.ledger.first_of_step is None
    # Both means are finite; their difference is not.
    machine.ledger.begin(1)
    assert np.isfinite(normalised(tape, np.float16([[60_000]]), 1.0, "difference")).all()
    assert not np.isfinite(tape.state["bn.mean"]).any()
    assert machine.ledger.first_of_step == {"layer": "bn", "tensor": "running mean", "step": 1}
    # It stays so, but is not what goes wrong in a later step.
    machine.ledger.begin(2)
    normalised(tape, np.float16([[60_000]]), 1.0, "difference")
    assert machine.ledger.first_of_step is None


def test_a_test_of_the_network_counts_no_rows() -> None:
    machine = Machine(NARROW)
    normalised(Tape(machine, training=False), ROWS)
    assert machine.ledger.first is None


def test_more_rows_than_binary16_can_count_are_named() -> None:
    machine = Machine(NARROW)
    normalised(Tape(machine), ROWS)
    assert machine.ledger.first == {"layer": "bn", "tensor": "count", "step": 0}


ROWS = (1e-3 * np.random.default_rng(0).normal(0, 1, (70_000, 1))).astype(np.float16)
LOSSES: dict[str, Callable[[Tape, Variable], Variable]] = {
    "softmax": lambda tape, z: nn.softmax_cross_entropy(tape, z, np.zeros(len(z.value), int)),
    "sigmoid": lambda tape, z: nn.sigmoid_cross_entropy(tape, z, np.zeros(z.value.shape, bool)),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("rows", [60_000, 70_000])
def test_a_mean_over_more_than_binary16_can_count_is_named(name: str, rows: int) -> None:
    machine = Machine(NARROW)
    tape = Tape(machine)
    # So negative that the sums of the losses stay finite.
    with tape.layer("loss"), np.errstate(all="ignore"):
        loss = LOSSES[name](tape, tape.parameter(np.full((rows, 1), -20, np.float16)))
    assert np.isfinite(loss.value)
    assert machine.ledger.first == ({"layer": "loss", "tensor": "count", "step": 0} if rows > 65_519 else None)
