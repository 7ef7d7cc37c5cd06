"""Reverse-mode differentiation over arrays: the forward pass writes a tape, the backward pass reads it from the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.machine import Machine

__all__ = ["Tape", "Variable"]

Backward: TypeAlias = Callable[[Array], Sequence[Array | None]]


class Variable:
    """An array on the tape.

    Attributes
    ----------
    value : array
        Its value, in the storage format.
    gradient : array or None
        The derivative of the loss times the loss scale, in the storage format, once `Tape.backward` has run.
    needed : bool
        Whether anyone wants the gradient.
    """

    __slots__ = ("gradient", "needed", "value")

    def __init__(self, value: Array, needed: bool = True) -> None:
        self.value = value
        self.gradient: Array | None = None
        self.needed = needed


class Tape:
    """The operations of one forward pass, in order.

    Parameters
    ----------
    machine : Machine
        What computes.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([[-1.0, 2.0]]))
    >>> y = nn.relu(tape, x)
    >>> tape.backward(y, np.float16([[3.0, 4.0]]))
    >>> x.gradient
    array([[0., 4.]], dtype=float16)
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._steps: list[tuple[Variable, Sequence[Variable], Backward]] = []

    def constant(self, value: Array) -> Variable:
        """Return an input that needs no gradient."""
        return Variable(value, needed=False)

    def parameter(self, value: Array) -> Variable:
        """Return an input whose gradient is wanted."""
        return Variable(value)

    def record(self, value: Array, inputs: Sequence[Variable], backward: Backward) -> Variable:
        """Write an operation down: `backward` maps the gradient of its output to those of its inputs."""
        output = Variable(value, needed=any(x.needed for x in inputs))
        if output.needed:
            self._steps.append((output, inputs, backward))
        return output

    def backward(self, output: Variable, gradient: Array | np.generic) -> None:
        """Propagate the gradient of `output` to every variable it depends on; gradients that meet are added."""
        output.gradient = np.asarray(gradient)
        for variable, inputs, backward in reversed(self._steps):
            if variable.gradient is None:
                continue
            for x, g in zip(inputs, backward(variable.gradient), strict=True):
                if g is not None and x.needed:
                    x.gradient = g if x.gradient is None else self.machine.storage.add(x.gradient, g)
