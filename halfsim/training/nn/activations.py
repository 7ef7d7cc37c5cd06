"""Activation functions, each rounded in the format of what it works on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.nn.pointwise import multiply, scale
from halfsim.training.selection import is_positive, selected
from halfsim.training.tape import Tape, Variable

__all__ = ["gelu", "leaky_relu", "relu", "sigmoid", "tanh"]


def relu(tape: Tape, x: Variable) -> Variable:
    """Return ``y = max(x, 0)``.

    dL/dx = g where x > 0, else 0: a selection, which rounds nothing.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Activations of any shape.

    Returns
    -------
    Variable
        Of the same shape and format: +0 for -0, NaN for NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([-1.0, 2.0]))
    >>> nn.relu(tape, x).value
    array([0., 2.], dtype=float16)
    """
    machine = tape.machine
    positive = machine.activations.positive_part
    if x.value.flags.c_contiguous:
        y = positive(x.value)
    else:
        # In the order of memory: an image may lie channel by channel.
        axes = np.argsort([-stride for stride in x.value.strides], kind="stable")
        y = positive(x.value.transpose(axes)).transpose(np.argsort(axes))

    def backward(g: Array) -> Sequence[Array | None]:
        return (machine.selected("activation gradient", selected(g, is_positive(y))),)

    return tape.record(machine.selected("activation", y), (x,), backward)


def leaky_relu(tape: Tape, x: Variable, slope: float) -> Variable:
    """Return ``y = x`` where x >= 0, else ``slope x``.

    dL/dx = g where x >= 0, else slope g.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Activations of any shape.
    slope : float
        Rounded to the format of activations before it multiplies.

    Returns
    -------
    Variable
        Of the same shape, stored as activations are; -0 stays -0.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([-1.0, 2.0]))
    >>> nn.leaky_relu(tape, x, 0.25).value
    array([-0.25,  2.  ], dtype=float16)
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

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Activations of any shape.

    Returns
    -------
    Variable
        Of the same shape, stored as activations are; ±1 for infinities, ±0 for zeros.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([0.0, 0.5, 9.0]))
    >>> nn.tanh(tape, x).value
    array([0.    , 0.4622, 1.    ], dtype=float16)
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

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Activations of any shape.

    Returns
    -------
    Variable
        Of the same shape, stored as activations are; 0 and 1 for infinities.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([-20.0, 0.0, 9.0]))
    >>> nn.sigmoid(tape, x).value
    array([0. , 0.5, 1. ], dtype=float16)
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
    """Return ``x sigmoid(1.702 x)``, an approximation of the Gaussian error linear unit [@hendrycks2016].

    Three operations, each rounded and stored: `scale`, `sigmoid`, `multiply`. The derivative is that of these three.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Activations of any shape.

    Returns
    -------
    Variable
        Of the same shape, stored as activations are; NaN for -∞, which is multiplied by zero.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([-1.0, 0.0, 1.0]))
    >>> nn.gelu(tape, x).value
    array([-0.1542,  0.    ,  0.8457], dtype=float16)
    """
    return multiply(tape, x, sigmoid(tape, scale(tape, x, 1.702)))
