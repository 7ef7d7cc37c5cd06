"""Products with weights, products of activations, and rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.nn.checks import check_shape
from halfsim.training.tape import Tape, Variable

__all__ = ["embedding", "linear", "matmul", "totals_by_row"]


def linear(tape: Tape, x: Variable, w: Variable, b: Variable | None = None) -> Variable:
    """Return ``y = x w + b`` for x of shape (..., K), w (K, N) and b (N,).

    dL/dx = g wᵀ,  dL/dw = xᵀ g,  dL/db = the sum of the rows of g.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Activations (..., K).
    w, b : Variable
        Weights (K, N); bias (N,), from which every sum starts, or None for sums that start from zero.

    Returns
    -------
    Variable
        (..., N), summed by the policy's ``forward`` accumulator and stored as activations are.

    Raises
    ------
    ValueError
        For weights or a bias whose shape does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([[1.0, 2.0]]))
    >>> w = tape.parameter(np.float16([[1.0, 0.0, -1.0], [0.5, 1.0, 2.0]]))
    >>> b = tape.parameter(np.float16([0.0, 10.0, 0.0]))
    >>> nn.linear(tape, x, w, b).value
    array([[ 2., 12.,  3.]], dtype=float16)
    """
    check_shape("linear", "w", w.value, x.value.shape[-1], "N")
    if b is not None:
        check_shape("linear", "b", b.value, w.value.shape[1])
    machine = tape.machine
    rows = x.value.reshape(-1, x.value.shape[-1])
    y = machine.forward(rows, w.value, None if b is None else b.value)

    def backward(g: Array) -> Sequence[Array | None]:
        g = g.reshape(-1, g.shape[-1])
        dx = machine.data_gradient(g, w.value.T).reshape(x.value.shape) if x.needed else None
        dw = machine.weight_gradient(x.value.reshape(rows.shape).T, g)
        return (dx, dw) if b is None else (dx, dw, machine.bias_gradient(g))

    inputs = (x, w) if b is None else (x, w, b)
    return tape.record(y.reshape(*x.value.shape[:-1], -1), inputs, backward)


def matmul(tape: Tape, a: Variable, b: Variable) -> Variable:
    """Return ``y = a b`` for activations a of shape (..., M, K) and b (..., K, N) with equal leading dimensions.

    dL/da = g bᵀ,  dL/db = aᵀ g, both summed as gradients of data are.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    a, b : Variable
        Activations (..., M, K) and (..., K, N), with the same leading axes.

    Returns
    -------
    Variable
        (..., M, N), summed by the policy's ``forward`` accumulator and stored as activations are.

    Raises
    ------
    ValueError
        For an a of fewer than two axes, or a b whose shape does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> a = tape.parameter(np.ones((2, 3, 4), np.float16))
    >>> b = tape.parameter(np.ones((2, 4, 5), np.float16))
    >>> nn.matmul(tape, a, b).value.shape
    (2, 3, 5)
    """
    if a.value.ndim < 2:
        check_shape("matmul", "a", a.value, "...", "M", "K")
    check_shape("matmul", "b", b.value, *a.value.shape[:-2], a.value.shape[-1], "N")
    machine = tape.machine

    def stack(x: Array) -> Array:
        return x.reshape(-1, *x.shape[-2:])

    y = machine.forward(stack(a.value), stack(b.value))

    def backward(g: Array) -> Sequence[Array | None]:
        g = stack(g)
        da = machine.data_gradient(g, stack(b.value).swapaxes(1, 2)) if a.needed else None
        db = machine.data_gradient(stack(a.value).swapaxes(1, 2), g) if b.needed else None
        return (
            None if da is None else da.reshape(a.value.shape),
            None if db is None else db.reshape(b.value.shape),
        )

    return tape.record(y.reshape(*a.value.shape[:-1], b.value.shape[-1]), (a, b), backward)


def embedding(tape: Tape, table: Variable, indices: ArrayLike) -> Variable:
    """Return the rows of a table (V, E) at integer indices (...,), of shape (..., E).

    dL/dtable: row i is the sum of the rows of g at which the index is i, in their order, made as sums of the bias are.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    table : Variable
        Weights (V, E).
    indices : array or list of int
        Rows to take, 0 to V - 1, of any shape.

    Returns
    -------
    Variable
        The rows, converted to the format in which activations are stored.

    Raises
    ------
    TypeError
        For indices that are no integers.
    ValueError
        For a table of another shape, or an index beyond it.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> table = tape.parameter(np.float16([[0.0, 1.0], [2.0, 3.0]]))
    >>> nn.embedding(tape, table, np.array([1, 1, 0])).value
    array([[2., 3.],
           [2., 3.],
           [0., 1.]], dtype=float16)
    """
    check_shape("embedding", "table", table.value, "V", "E")
    indices = np.asarray(indices)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"embedding: indices are of dtype {indices.dtype}; pass integers")
    machine = tape.machine
    if indices.size:
        least, largest, rows = int(indices.min()), int(indices.max()), len(table.value)
        if least < 0 or largest >= rows:
            wrong = least if least < 0 else largest
            raise ValueError(f"embedding: index {wrong} is not one of a table of {rows} rows; enlarge the vocabulary")
    indices = indices.astype(np.intp, copy=False)  # no sum of counts takes uint64
    y = machine.value(machine.activations, lambda a: a.convert(table.value[indices]))

    def backward(g: Array) -> Sequence[Array | None]:
        rows = g.reshape(-1, g.shape[-1])

        def sums(a: Arithmetic) -> Array:
            return totals_by_row(a, rows, indices.reshape(-1), len(table.value))

        return (machine.gradient("weight gradient", machine.bias, sums),)

    return tape.record(y, (table,), backward)


def totals_by_row(a: Arithmetic, rows: Array, indices: Array, count: int) -> Array:
    """Return (count, E): at i the sum of the rows (M, E) whose index is i, in their order, by the row of `a.total`."""
    order = np.argsort(indices, kind="stable")
    occurrences = np.bincount(indices, minlength=count)
    starts = np.cumsum(occurrences) - occurrences
    total = np.zeros((count, rows.shape[1]), a.dtype)
    # Sums of equally many terms lie side by side and are made together.
    for terms in np.unique(occurrences[occurrences > 0]):
        chosen = np.flatnonzero(occurrences == terms)
        each = rows[order[starts[chosen] + np.arange(terms)[:, None]]]
        total[chosen] = a.sum(a.convert(each.reshape(terms, -1)), 0).reshape(chosen.size, -1)
    return total
