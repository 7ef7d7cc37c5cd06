"""Scales that gradients carry: what a scale per layer does to them, and what is the same without it."""

from __future__ import annotations

import numpy as np

from halfsim.policy import named
from halfsim.training import nn
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
    assert all(128 <= largest < 256 for largest in entered)
    for one, other in zip(plain, scaled, strict=True):
        assert other.gradient is not None and one.gradient is not None
        assert np.array_equal(other.gradient.astype(np.float64) / other.scale, one.gradient)
    assert len({variable.scale for variable in scaled}) > 1


def test_gradients_that_a_constant_loses_are_kept() -> None:
    wide, _ = network("binary32", 1.0, None)
    lost, _ = network("mixed", 2.0**-30, None)
    kept, _ = network("mixed", 2.0**-30, 256.0)
    for one, other, reference in zip(lost, kept, wide, strict=True):
        assert one.gradient is not None and other.gradient is not None and reference.gradient is not None
        assert not one.gradient.any()
        np.testing.assert_allclose(other.gradient / other.scale, reference.gradient, rtol=0.05, atol=0.01)


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
