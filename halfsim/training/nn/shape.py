"""Operations that move numbers and round nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.tape import Tape, Variable

__all__ = ["concatenate", "reshape", "take", "transpose"]


def reshape(tape: Tape, x: Variable, shape: Sequence[int]) -> Variable:
    """Return the elements of x, in C order, in another shape."""
    return tape.record(x.value.reshape(shape), (x,), lambda g: (g.reshape(x.value.shape),))


def transpose(tape: Tape, x: Variable, axes: Sequence[int]) -> Variable:
    """Return x with its axes in another order."""
    back = np.argsort(axes)
    return tape.record(x.value.transpose(axes), (x,), lambda g: (g.transpose(back),))


def take(tape: Tape, x: Variable, index: int | slice, axis: int) -> Variable:
    """Return x at one index, or in a range, of an axis."""
    where = (slice(None),) * (axis % x.value.ndim) + (index,)

    def backward(g: Array) -> Sequence[Array | None]:
        dx = np.zeros(x.value.shape, g.dtype)
        dx[where] = g
        return (dx,)

    return tape.record(x.value[where], (x,), backward)


def concatenate(tape: Tape, xs: Sequence[Variable], axis: int) -> Variable:
    """Return arrays joined along an axis."""
    ends = np.cumsum([x.value.shape[axis] for x in xs])[:-1]
    return tape.record(
        np.concatenate([x.value for x in xs], axis=axis), tuple(xs), lambda g: np.split(g, ends, axis=axis)
    )
