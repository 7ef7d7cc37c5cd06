"""Operations that move numbers and round nothing."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as integral

import numpy as np

from halfsim.checks import integer
from halfsim.training.arithmetic import Array
from halfsim.training.tape import Tape, Variable

__all__ = ["concatenate", "reshape", "take", "transpose"]


def reshape(tape: Tape, x: Variable, shape: Sequence[int]) -> Variable:
    """Return the elements of x, in C order, in another shape.

    Parameters
    ----------
    tape : Tape
        What records.
    x : Variable
        Of any shape and format.
    shape : sequence of int
        With as many elements; -1 stands for what is left, as in NumPy.

    Returns
    -------
    Variable
        The same bits; the gradient goes back in the shape of x.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([[1.0, 2.0, 3.0, 4.0]]))
    >>> nn.reshape(tape, x, (2, 2)).value
    array([[1., 2.],
           [3., 4.]], dtype=float16)
    """
    return tape.record(x.value.reshape(shape), (x,), lambda g: (g.reshape(x.value.shape),))


def transpose(tape: Tape, x: Variable, axes: Sequence[int]) -> Variable:
    """Return x with its axes in another order.

    Parameters
    ----------
    tape : Tape
        What records.
    x : Variable
        Of any shape and format.
    axes : sequence of int
        Which axis of x each axis of the result is: a permutation; negative ones count from the end.

    Returns
    -------
    Variable
        The same bits, as a view; the gradient goes back by the inverse permutation.

    Raises
    ------
    TypeError
        For axes that are no sequence of integers.
    ValueError
        For axes that are no permutation of those of x.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([[1.0, 2.0]]))
    >>> nn.transpose(tape, x, (1, 0)).value.shape
    (2, 1)
    """
    ndim = x.value.ndim
    try:
        asked = tuple(integral(axis) for axis in axes)
    except TypeError:
        raise TypeError(
            f"transpose: axes={axes!r} is no sequence of integers; pass every axis of x once, such as "
            f"{tuple(reversed(range(ndim)))}"
        ) from None
    order = tuple(axis + ndim if axis < 0 else axis for axis in asked)
    if sorted(order) != list(range(ndim)):
        raise ValueError(f"transpose: axes={asked} is no permutation of the {ndim} axes of x; pass every axis once")
    back = np.argsort(order)
    return tape.record(x.value.transpose(order), (x,), lambda g: (g.transpose(back),))


def take(tape: Tape, x: Variable, index: int | slice, axis: int) -> Variable:
    """Return x at one index, or in a range, of an axis.

    Parameters
    ----------
    tape : Tape
        What records.
    x : Variable
        Of any shape and format.
    index : int or slice
        Where on the axis; an int drops the axis.
    axis : int
        Which axis; negative ones count from the end.

    Returns
    -------
    Variable
        The same bits; the gradient of everything else is +0.

    Raises
    ------
    TypeError
        For an index that is neither an integer nor a slice.
    ValueError
        For an index or an axis that x does not have.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([[1.0, 2.0], [3.0, 4.0]]))
    >>> nn.take(tape, x, 1, axis=0).value
    array([3., 4.], dtype=float16)
    """
    ndim = x.value.ndim
    axis = integer("take", "axis", axis, -ndim, ndim - 1) % ndim
    if not isinstance(index, slice):
        if isinstance(index, bool) or not hasattr(index, "__index__"):
            raise TypeError(f"take: index is of type {type(index).__name__}; pass an integer or a slice")
        length = x.value.shape[axis]
        index = integer("take", "index", index, -length, length - 1)
    where = (slice(None),) * axis + (index,)

    def backward(g: Array) -> Sequence[Array | None]:
        dx = np.zeros(x.value.shape, g.dtype)
        dx[where] = g
        return (dx,)

    return tape.record(x.value[where], (x,), backward)


def concatenate(tape: Tape, xs: Sequence[Variable], axis: int) -> Variable:
    """Return arrays joined along an axis.

    Parameters
    ----------
    tape : Tape
        What records.
    xs : sequence of Variable
        Equal in shape but for the axis, and in format.
    axis : int
        Which axis.

    Returns
    -------
    Variable
        The same bits; each input gets its own part of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> a, b = tape.parameter(np.float16([[1.0]])), tape.parameter(np.float16([[2.0]]))
    >>> nn.concatenate(tape, [a, b], axis=1).value
    array([[1., 2.]], dtype=float16)
    """
    ends = np.cumsum([x.value.shape[axis] for x in xs])[:-1]
    return tape.record(
        np.concatenate([x.value for x in xs], axis=axis), tuple(xs), lambda g: np.split(g, ends, axis=axis)
    )
