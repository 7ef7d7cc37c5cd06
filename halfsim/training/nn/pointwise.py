"""Elementwise operations, each rounded in the format of what it works on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.tape import Tape, Variable

__all__ = ["add", "gelu", "leaky_relu", "multiply", "relu", "scale", "sigmoid", "tanh"]


def relu(tape: Tape, x: Variable) -> Variable:
    """Return ``y = max(x, 0)``.

    dL/dx = g where x > 0, else 0: a selection, which rounds nothing.
    """
    machine = tape.machine
    # In the order of memory: an image may lie channel by channel.
    axes = np.argsort([-stride for stride in x.value.strides], kind="stable")
    y = machine.activations.positive_part(x.value.transpose(axes)).transpose(np.argsort(axes))
    if machine.ledger.sampling:
        machine.ledger.count(machine.layer, "activation", y, y)

    def backward(g: Array) -> Sequence[Array | None]:
        return (np.where(_positive(y), g, np.zeros((), g.dtype)),)

    return tape.record(y, (x,), backward)


def leaky_relu(tape: Tape, x: Variable, slope: float) -> Variable:
    """Return ``y = x`` where x >= 0, else ``slope x``.

    dL/dx = g where x >= 0, else slope g.
    """
    machine = tape.machine
    below = np.signbit(x.value)
    y = machine.value(
        machine.forward_pointwise, lambda a: np.where(below, a.multiply(a.convert(x.value), a.number(slope)), x.value)
    )

    def backward(g: Array) -> Sequence[Array | None]:
        return (
            machine.gradient(
                "activation gradient",
                machine.backward_pointwise,
                lambda a: np.where(below, a.multiply(a.convert(g), a.number(slope)), g),
            ),
        )

    return tape.record(y, (x,), backward)


def tanh(tape: Tape, x: Variable) -> Variable:
    """Return ``y = tanh x``, rounded once.

    dL/dx = g (1 - y²), three operations.
    """
    machine = tape.machine
    y = machine.value(machine.forward_pointwise, lambda a: a.tanh(x.value))

    def backward(g: Array) -> Sequence[Array | None]:
        return (
            machine.gradient(
                "activation gradient",
                machine.backward_pointwise,
                lambda a: a.multiply(a.convert(g), a.subtract(a.number(1), a.multiply(a.convert(y), a.convert(y)))),
            ),
        )

    return tape.record(y, (x,), backward)


def sigmoid(tape: Tape, x: Variable) -> Variable:
    """Return ``y = 1 / (1 + exp(-x))``, rounded once.

    dL/dx = g (y (1 - y)), three operations.
    """
    machine = tape.machine
    y = machine.value(machine.forward_pointwise, lambda a: a.sigmoid(x.value))

    def backward(g: Array) -> Sequence[Array | None]:
        return (
            machine.gradient(
                "activation gradient",
                machine.backward_pointwise,
                lambda a: a.multiply(a.convert(g), a.multiply(a.convert(y), a.subtract(a.number(1), a.convert(y)))),
            ),
        )

    return tape.record(y, (x,), backward)


def gelu(tape: Tape, x: Variable) -> Variable:
    """Return ``x sigmoid(1.702 x)``, an approximation of the Gaussian error linear unit [@hendrycks2016]."""
    return multiply(tape, x, sigmoid(tape, scale(tape, x, 1.702)))


def add(tape: Tape, a: Variable, b: Variable) -> Variable:
    """Return ``y = a + b`` of equal shapes, or b of the shape of a's last axes.

    dL/da = g,  dL/db = g, or its sums over the leading axes in the arithmetic of the bias.
    """
    machine = tape.machine
    y = machine.value(machine.forward_pointwise, lambda r: r.add(r.convert(a.value), r.convert(b.value)))

    def backward(g: Array) -> Sequence[Array | None]:
        if a.value.shape == b.value.shape:
            return g, g
        return g, machine.bias_gradient(g.reshape(-1, b.value.size)).reshape(b.value.shape)

    return tape.record(y, (a, b), backward)


def multiply(tape: Tape, a: Variable, b: Variable) -> Variable:
    """Return ``y = a b`` of equal shapes.

    dL/da = g b,  dL/db = g a.
    """
    machine = tape.machine
    y = machine.value(machine.forward_pointwise, lambda r: r.multiply(r.convert(a.value), r.convert(b.value)))

    def backward(g: Array) -> Sequence[Array | None]:
        def times(other: Array) -> Array:
            return machine.gradient(
                "activation gradient",
                machine.backward_pointwise,
                lambda r: r.multiply(r.convert(g), r.convert(other)),
            )

        return times(b.value), times(a.value)

    return tape.record(y, (a, b), backward)


def scale(tape: Tape, x: Variable, constant: float) -> Variable:
    """Return ``y = constant x``, the constant rounded to the format.

    dL/dx = constant g.
    """
    machine = tape.machine
    y = machine.value(machine.forward_pointwise, lambda r: r.multiply(r.convert(x.value), r.number(constant)))

    def backward(g: Array) -> Sequence[Array | None]:
        return (
            machine.gradient(
                "activation gradient",
                machine.backward_pointwise,
                lambda r: r.multiply(r.convert(g), r.number(constant)),
            ),
        )

    return tape.record(y, (x,), backward)


def _positive(y: Array) -> Array:
    """Return where a result of ReLU, which is never -0, is above zero; a NaN is not."""
    patterns: Array = y.view(np.uint16 if y.dtype == np.float16 else np.uint32)
    # Integers compare in a fraction of the time of float16 numbers: 0 < pattern <= that of infinity.
    return np.asarray(patterns - 1 < (0x7C00 if y.dtype == np.float16 else 0x7F800000))
