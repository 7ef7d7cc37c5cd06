"""Sums and products of elements, each rounded in the format of what it works on."""

from __future__ import annotations

from collections.abc import Sequence

from halfsim.training.arithmetic import Array
from halfsim.training.nn.checks import check_shape
from halfsim.training.tape import Tape, Variable

__all__ = ["add", "multiply", "scale"]


def add(tape: Tape, a: Variable, b: Variable) -> Variable:
    """Return ``y = a + b`` of equal shapes, or b of the shape of a's last axes.

    dL/da = g,  dL/db = g, or its sums over the leading axes in the arithmetic of the bias.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    a, b : Variable
        Activations of one shape, or b of the last axes of a: (N, 4, 5) and (4, 5).

    Returns
    -------
    Variable
        Of the shape of a, rounded once and stored as activations are.

    Raises
    ------
    ValueError
        For a b of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> a = tape.parameter(np.float16([[2048.0, 1.0], [4.0, 5.0]]))
    >>> b = tape.parameter(np.float16([1.0, 2.0]))
    >>> nn.add(tape, a, b).value
    array([[2.048e+03, 3.000e+00],
           [5.000e+00, 7.000e+00]], dtype=float16)
    """
    shape = a.value.shape
    if shape[max(len(shape) - b.value.ndim, 0) :] != b.value.shape:
        raise ValueError(
            f"add: b has shape {b.value.shape}; pass one of the shape of a, {shape}, or of the last axes of a"
        )
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

    Parameters
    ----------
    tape : Tape
        What computes and records.
    a, b : Variable
        Activations of one shape.

    Returns
    -------
    Variable
        Of that shape, rounded once and stored as activations are.

    Raises
    ------
    ValueError
        For shapes that differ.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> a = tape.parameter(np.float16([3.0, 300.0]))
    >>> y = nn.multiply(tape, a, a)
    >>> y.value
    array([ 9., inf], dtype=float16)
    >>> tape.backward(y, np.float16([1.0, 1.0]))
    >>> a.gradient
    array([  6., 600.], dtype=float16)
    """
    if a.value.shape != b.value.shape:
        check_shape("multiply", "b", b.value, *a.value.shape)
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

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Activations of any shape.
    constant : float
        Rounded once to the format of activations, and in the backward pass to that of the gradient's arithmetic.

    Returns
    -------
    Variable
        Of the same shape, rounded once and stored as activations are.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([1.0, 3.0]))
    >>> nn.scale(tape, x, 0.1).value
    array([0.1   , 0.2998], dtype=float16)
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
