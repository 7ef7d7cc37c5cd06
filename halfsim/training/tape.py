"""Reverse-mode differentiation over arrays: the forward pass writes a tape, the backward pass reads it from the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.loss_scale import layer_factor
from halfsim.training.machine import WIDE, Machine

__all__ = ["Tape", "Variable"]

Backward: TypeAlias = Callable[[Array], Sequence[Array | None]]

_DTYPES = (np.dtype(np.float16), np.dtype(np.float32))


class Variable:
    """An array on the tape.

    Attributes
    ----------
    value : array
        Its value, in the storage format.
    gradient : array or None
        The derivative of the loss times `scale`, in the storage format, once `Tape.backward` has run.
    scale : float
        The loss scale that the gradient carries.
    needed : bool
        Whether anyone wants the gradient.
    kind : str
        The column of the ledger for its gradient: ``"activation gradient"`` or ``"weight gradient"``.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> x = Tape(Machine(named("mixed"))).parameter(np.float16([1.0, 2.0]))
    >>> x.value, x.gradient, x.kind
    (array([1., 2.], dtype=float16), None, 'weight gradient')
    """

    __slots__ = ("gradient", "kind", "needed", "scale", "value")

    def __init__(self, value: Array, needed: bool = True, kind: str = "activation gradient") -> None:
        self.value = value
        self.gradient: Array | None = None
        self.scale = 1.0
        self.needed = needed
        self.kind = kind


class _Step(NamedTuple):
    layer: str
    output: Variable
    inputs: Sequence[Variable]
    backward: Backward


class Tape:
    """The operations of one forward pass, in order.

    Parameters
    ----------
    machine : Machine
        What computes.
    state : dict of arrays, optional
        Running statistics of batch normalisation by name; changed in place when training.
    training : bool
        Whether batch normalisation takes the statistics of the batch (and keeps the running ones up to date) or the
        running ones.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([[-1.0, 2.0]]))
    >>> y = nn.relu(tape, x)
    >>> tape.backward(y, np.float16([[3.0, 4.0]]))
    >>> x.gradient
    array([[0., 4.]], dtype=float16)
    """

    def __init__(self, machine: Machine, *, state: dict[str, Array] | None = None, training: bool = True) -> None:
        self.machine = machine
        self.state = {} if state is None else state
        self.training = training
        self._steps: list[_Step] = []

    def constant(self, value: Array) -> Variable:
        """Return an input that needs no gradient.

        Parameters
        ----------
        value : array
            In the format of activations, of any shape; it is not copied.

        Raises
        ------
        TypeError
            If `value` is no array of float16 or float32.
        """
        _check_array("constant", value)
        return Variable(value, needed=False)

    def parameter(self, value: Array) -> Variable:
        """Return an input whose gradient is wanted.

        Parameters
        ----------
        value : array
            In the format of weights, of any shape; it is not copied.

        Returns
        -------
        Variable
            Whose `Variable.gradient` is there after `backward`, if the output depends on it.

        Raises
        ------
        TypeError
            If `value` is no array of float16 or float32.
        """
        _check_array("parameter", value)
        return Variable(value, kind="weight gradient")

    @contextmanager
    def layer(self, name: str) -> Iterator[None]:
        """Name the layer of what is recorded inside; a layer within a layer has both names, joined by a dot.

        Parameters
        ----------
        name : str
            Key of the ledger, such as ``"conv1"``.

        Examples
        --------
        >>> from halfsim.policy import named
        >>> from halfsim.training.machine import Machine
        >>> from halfsim.training.tape import Tape
        >>> tape = Tape(Machine(named("mixed")))
        >>> with tape.layer("block"), tape.layer("conv1"):
        ...     tape.machine.layer
        'block.conv1'
        """
        outer = self.machine.layer
        self.machine.layer = f"{outer}.{name}" if outer else name
        try:
            yield
        finally:
            self.machine.layer = outer

    def record(self, value: Array, inputs: Sequence[Variable], backward: Backward) -> Variable:
        """Write an operation down: `backward` maps the gradient of its output to those of its inputs.

        Parameters
        ----------
        value : array
            The result, as stored.
        inputs : sequence of Variable
            What it was computed from.
        backward : callable
            From the gradient of the output (array, of the shape of `value`) to a sequence of arrays, one per input;
            None where
            an input has none. Called at most once, and not at all if nobody wants a gradient of an input.

        Returns
        -------
        Variable
            The output, which wants a gradient if an input does.

        Examples
        --------
        >>> import numpy as np
        >>> from halfsim.policy import named
        >>> from halfsim.training.machine import Machine
        >>> from halfsim.training.tape import Tape
        >>> tape = Tape(Machine(named("mixed")))
        >>> x = tape.parameter(np.float16([1.0, 2.0]))
        >>> y = tape.record(-x.value, (x,), lambda g: (-g,))
        >>> tape.backward(y, np.float16([3.0, 4.0]))
        >>> x.gradient
        array([-3., -4.], dtype=float16)
        """
        output = Variable(value, needed=any(x.needed for x in inputs))
        if output.needed:
            self._steps.append(_Step(self.machine.layer, output, inputs, backward))
        return output

    def backward(
        self, output: Variable, gradient: Array | np.generic, scale: float = 1.0, bound: float | None = None
    ) -> None:
        """Propagate the gradient of `output` to every variable it depends on; gradients that meet are added.

        Sums of gradients that meet, and gradients that are scaled, are stored tensors: the ledger counts them.

        Parameters
        ----------
        output : Variable
            Usually the loss.
        gradient : array
            Its gradient, the loss scale included.
        scale : float
            The loss scale: what `Variable.scale` of every gradient starts from.
        bound : float, optional
            What the gradient that enters a layer is brought below, by a power of two that its scale keeps book of; the
            layer of `output`, usually the loss, takes `gradient` as it is.
        """
        output.gradient, output.scale = np.asarray(gradient), scale
        outer, layer = self.machine.layer, None
        for step in reversed(self._steps):
            if step.output.gradient is None:
                continue
            self.machine.layer = step.layer
            if bound is not None and step.layer != layer is not None:
                factor = layer_factor(_largest(step.output.gradient), bound)
                step.output.gradient = self._times(step.output, step.output.gradient, factor)
                step.output.scale *= factor
            layer = step.layer
            for x, g in zip(step.inputs, step.backward(step.output.gradient), strict=True):
                if g is not None and x.needed:
                    self._deliver(x, g, step.output.scale)
        self.machine.layer = outer

    def _deliver(self, x: Variable, gradient: Array, scale: float) -> None:
        """Add a gradient to what has arrived before; of two scales the smaller one holds for both."""
        if x.gradient is None:
            x.gradient, x.scale = gradient, scale
            return
        if scale != x.scale:
            smaller = min(scale, x.scale)
            gradient = self._times(x, gradient, smaller / scale)
            x.gradient, x.scale = self._times(x, x.gradient, smaller / x.scale), smaller
        x.gradient = self.machine.meet(x.kind, x.gradient, gradient)

    def _times(self, x: Variable, gradient: Array, factor: float) -> Array:
        """Return a gradient of x times a power of two, rounded once: binary16 has no such large factors of its own."""
        if factor == 1.0:
            return gradient
        return self.machine.gradient(x.kind, WIDE, lambda a: a.multiply(a.convert(gradient), a.number(factor)))

    def kept(self) -> list[Array]:
        """Return the distinct arrays that the backward pass reads or that hold values of variables, largest first."""
        found: dict[int, Array] = {}
        for step in self._steps:
            cells = [cell.cell_contents for cell in step.backward.__closure__ or ()]
            for array in _arrays([step.output, *step.inputs, *cells]):
                owner = array
                while isinstance(owner.base, np.ndarray):
                    owner = owner.base
                found[id(owner)] = owner
        return sorted(found.values(), key=lambda array: -array.nbytes)


def _check_array(method: str, value: object) -> None:
    dtype = getattr(value, "dtype", None)
    if dtype not in _DTYPES:
        found = f"type {type(value).__name__}" if dtype is None else f"dtype {dtype}"
        raise TypeError(f"Tape.{method}: value is of {found}; pass an array of float16 or float32")


def _largest(gradient: Array) -> float:
    """Return the largest finite magnitude, 0 if there is none."""
    size = np.abs(gradient)
    return float(size.max(initial=0, where=np.isfinite(size)))


def _arrays(values: Any) -> Iterator[Array]:
    for value in values:
        if isinstance(value, Variable):
            yield value.value
        elif isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, tuple | list):
            yield from _arrays(value)
