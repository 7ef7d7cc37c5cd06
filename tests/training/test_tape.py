"""Scales that gradients carry: what a scale per layer does to them, and what is the same without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from halfsim.policy import Policy, named
from halfsim.training import nn
from halfsim.training.ledger import Ledger
from halfsim.training.machine import Machine
from halfsim.training.tape import Tape, Variable

RANDOM = np.random.default_rng(4)
VALUES = [RANDOM.normal(0, 1, shape).astype(np.float16) for shape in ((6, 5), (5, 5), (5,), (5, 3), (3,))]
LABELS = np.array([0, 1, 2, 2, 1, 0])


def network(policy: str, scale: float, bound: float | None) -> tuple[list[Variable], list[float]]:
    """Two layers of which the first is used twice; return its parameters, and what entered each layer at most."""
    machine = Machine(named(policy))
    tape = Tape(machine)
    x, *parameters = (tape.parameter(machine.activations.convert(value)) for value in VALUES)
    entered: list[float] = []

    def watched(h: Variable) -> Variable:
        def backward(g: np.ndarray) -> tuple[np.ndarray]:
            entered.append(float(np.abs(g.astype(np.float64)).max()))
            return (g,)

        return tape.record(h.value, (h,), backward)

    with tape.layer("first"):
        h = watched(nn.linear(tape, x, parameters[0], parameters[1]))
    with tape.layer("again"):
        h = watched(nn.linear(tape, nn.tanh(tape, h), parameters[0], parameters[1]))
    with tape.layer("last"):
        z = watched(nn.linear(tape, h, parameters[2], parameters[3]))
    loss = nn.softmax_cross_entropy(tape, z, LABELS)
    tape.backward(loss, machine.loss.number(scale), scale, bound)
    return [x, *parameters], entered


def test_powers_of_two_change_no_bit_of_a_binary32_gradient() -> None:
    plain, _ = network("binary32", 1.0, None)
    scaled, entered = network("binary32", 2.0**10, 256.0)
    # The loss takes its scale as it is; every layer before it is brought below the bound.
    assert all(128 <= largest < 256 for largest in entered)
    for one, other in zip(plain, scaled, strict=True):
        assert other.gradient is not None and one.gradient is not None
        assert np.array_equal(other.gradient.astype(np.float64) / other.scale, one.gradient)
    assert len({variable.scale for variable in scaled}) > 1


def test_gradients_that_a_constant_loses_are_kept() -> None:
    wide, _ = network("binary32", 1.0, None)
    lost, _ = network("mixed", 2.0**-30, None)
    # The loss itself is scaled by a constant, as its gradient is stored before any layer sees it.
    kept, _ = network("mixed", 2.0**10, 256.0)
    for one, other, reference in zip(lost, kept, wide, strict=True):
        assert one.gradient is not None and other.gradient is not None and reference.gradient is not None
        assert not one.gradient.any()
        np.testing.assert_allclose(other.gradient / other.scale, reference.gradient, rtol=0.05, atol=0.01)


def twice(policy: Policy, first: float, second: float, *, parameter: bool) -> tuple[Ledger, Variable]:
    """Two gradients of one number meet in the layer ``"shared"``."""
    tape = Tape(Machine(policy, Ledger()))
    x = tape.parameter(np.float16([1.0]))
    if not parameter:
        x = tape.record(x.value, (x,), lambda g: (None,))
    with tape.layer("shared"):
        y = tape.record(x.value, (x, x), lambda g: (np.float16([first]), np.float16([second])))
    tape.backward(y, np.float16([1.0]))
    return tape.machine.ledger, x


@pytest.mark.parametrize(("parameter", "kind"), [(True, "weight gradient"), (False, "activation gradient")])
def test_sums_of_gradients_that_meet_are_counted_and_named(parameter: bool, kind: str) -> None:
    ledger, x = twice(named("mixed"), 60_000, 60_000, parameter=parameter)
    assert x.gradient is not None and x.gradient.tolist() == [np.inf]
    assert ledger.first == {"layer": "shared", "tensor": kind, "step": 0}
    assert ledger.as_dict()["layers"]["shared"][kind]["overflowed"] == 1
    # Both are normal, and their sum is not.
    flushing = replace(named("mixed"), flush_to_zero=True)
    for policy, expected in ((named("mixed"), (0, 1)), (flushing, (1, 0))):
        ledger, x = twice(policy, 1.5 * 2**-14, -(2**-14), parameter=parameter)
        counts = ledger.as_dict()["layers"]["shared"][kind]
        assert (counts["flushed"], counts["subnormal"]) == expected
        assert (counts["elements"], ledger.first) == (1, None)


def test_zeros_around_the_gradient_of_a_slice_are_not_counted() -> None:
    tape = Tape(Machine(named("mixed"), Ledger()))
    x = tape.parameter(np.float16([1.0, 2.0, 3.0]))
    with tape.layer("shared"):
        y = tape.record(x.value, (x, x), lambda g: (np.float16([1, 0, 2]), np.float16([0, 0, 3])))
    tape.backward(y, np.ones(3, np.float16))
    assert x.gradient is not None and x.gradient.tolist() == [1, 0, 5]
    counts = tape.machine.ledger.as_dict()["layers"]["shared"]["weight gradient"]
    assert (counts["elements"], counts["zero"]) == (1, 0)


def test_a_tiny_binary32_gradient_is_not_scaled_to_infinity() -> None:
    tape = Tape(Machine(named("binary32"), Ledger()))
    x = tape.parameter(np.float32([1.0]))
    with tape.layer("before"):
        h = tape.record(x.value, (x,), lambda g: (g,))
    with tape.layer("after"):
        y = tape.record(h.value, (h,), lambda g: (g,))
    tape.backward(y, np.float32([2.0**-130]), 1.0, 65504.0)
    assert x.gradient is not None and x.gradient.tolist() == [2.0**-3] and x.scale == 2.0**127


def test_gradients_that_a_scale_makes_zero_are_counted() -> None:
    tape = Tape(Machine(named("mixed"), Ledger()))
    x = tape.parameter(np.float16([1.0, 1.0]))
    with tape.layer("before"):
        h = tape.record(x.value, (x,), lambda g: (g,))
    with tape.layer("after"):
        y = tape.record(h.value, (h,), lambda g: (g,))
    # The layer before is brought below 1: 2^15 to 1/2, and 2^-12 with it to 2^-28.
    tape.backward(y, np.float16([2**15, 2**-12]), 1.0, 1.0)
    assert x.gradient is not None and x.gradient.tolist() == [0.5, 0] and x.scale == 2.0**-16
    counts = tape.machine.ledger.as_dict()["layers"]["before"]["activation gradient"]
    assert (counts["elements"], counts["flushed"]) == (2, 1)


def test_layers_have_names_within_names() -> None:
    tape = Tape(Machine(named("mixed")))
    with tape.layer("a"):
        assert tape.machine.layer == "a"
        with tape.layer("b"):
            assert tape.machine.layer == "a.b"
        assert tape.machine.layer == "a"
    assert tape.machine.layer == ""


def test_what_the_backward_pass_reads_is_kept_once() -> None:
    machine = Machine(named("mixed"))
    tape = Tape(machine)
    x = tape.parameter(np.ones((4, 8), np.float16))
    w = tape.parameter(np.ones((8, 2), np.float16))
    y = nn.relu(tape, nn.linear(tape, x, w))
    kept = tape.kept()
    assert sum(array is x.value for array in kept) == 1
    assert {id(array) for array in kept} >= {id(x.value), id(w.value)}
    assert y.value.nbytes == 16
    assert sum(array.nbytes for array in kept) <= 64 + 32 + 2 * 16
