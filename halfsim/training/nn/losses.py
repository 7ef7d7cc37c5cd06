"""Softmax and the losses: exponentials, logarithms and sums in the arithmetic of the reductions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.machine import WIDE
from halfsim.training.nn.checks import check_shape
from halfsim.training.tape import Tape, Variable

__all__ = ["attention_softmax", "exponentials", "sigmoid_cross_entropy", "softmax_cross_entropy"]


def attention_softmax(tape: Tape, x: Variable, causal: bool = False) -> Variable:
    """Return the softmax over the last axis of x (..., M, N); if causal, 0 where the column is beyond the row.

    It is that of attention [@vaswani2017]. With z less the largest element of its row, e = exp z and s = Σ e: p = e /
    s. dL/dx = p (g - Σ g p). All of it in the arithmetic of the softmax, then stored.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Scores (..., M, N). A row with a NaN or +∞ becomes NaN.
    causal : bool
        Whether position i of M sees the columns up to i alone.

    Returns
    -------
    Variable
        Probabilities of the same shape, stored as activations are.

    Raises
    ------
    ValueError
        For a vector, and for rows without elements.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.zeros((1, 2, 2), np.float16))
    >>> nn.attention_softmax(tape, x, causal=True).value
    array([[[1. , 0. ],
        [0.5, 0.5]]], dtype=float16)
    """
    machine, r = tape.machine, tape.machine.softmax
    shape = x.value.shape
    if len(shape) < 2 or not shape[-1]:
        raise ValueError(f"attention_softmax: x has shape {shape}; pass one of shape (..., M, N) with N of 1 or more")
    hidden = np.triu(np.ones(shape[-2:], np.bool_), 1) if causal else np.zeros(shape[-2:], np.bool_)
    masked = np.broadcast_to(hidden, shape).reshape(-1, shape[-1])
    rows = x.value.reshape(-1, shape[-1])

    def probabilities(a: Arithmetic) -> Array:
        _, e, s = exponentials(a, np.where(masked, np.array(-np.inf, rows.dtype), rows))
        return np.asarray(a.divide(e, s))

    forward = probabilities(r)
    y = machine.value(r, lambda a: forward if a is r else probabilities(a)).reshape(shape)

    def backward(g: Array) -> Sequence[Array | None]:
        def dx(a: Arithmetic) -> Array:
            p, incoming = a.convert(y.reshape(rows.shape)), a.convert(g.reshape(rows.shape))
            inner = a.sum(np.asarray(a.multiply(incoming, p)), 1)
            return np.asarray(a.multiply(p, a.subtract(incoming, inner)))

        return (machine.gradient("activation gradient", r, dx).reshape(shape),)

    return tape.record(y, (x,), backward)


def exponentials(a: Arithmetic, rows: Array) -> tuple[Array, Array, Array]:
    """Return z less its largest element, its exponential, and the sum of these, of every row."""
    z = a.convert(rows)
    z = np.asarray(a.subtract(z, z.max(axis=1, keepdims=True)))
    e = a.exp(z)
    return z, e, a.sum(e, 1)


def softmax_cross_entropy(tape: Tape, logits: Variable, labels: Array) -> Variable:
    """Return the mean over all rows of ``-log p[label]``, p = softmax of the logits (..., N), labels (...,).

    With z less its largest element, e = exp z and s = Σ e: p = e / s, and -log p[label] = log s - z[label].
    dL/dlogits = (p - onehot(label)) g / M for M rows. z, e, s and p in the arithmetic of the softmax; what comes after
    in that of the loss; the gradient then stored.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    logits : Variable
        Activations (..., N).
    labels : array of int
        The right class of every row, 0 to N - 1, of the shape (...,).

    Returns
    -------
    Variable
        The loss in nats, a scalar in the format of the policy's ``loss``.

    Raises
    ------
    TypeError
        For labels that are no integers.
    ValueError
        For labels of another shape, below 0 or above N - 1.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> logits = tape.parameter(np.float16([[2.0, 0.0, 0.0]]))
    >>> loss = nn.softmax_cross_entropy(tape, logits, np.array([0]))
    >>> loss.value
    np.float32(0.23954484)
    >>> tape.backward(loss, np.float32(1))
    >>> logits.gradient
    array([[-0.213 ,  0.1065,  0.1065]], dtype=float16)
    """
    labels = np.asarray(labels)
    check_shape("softmax_cross_entropy", "labels", labels, *logits.value.shape[:-1])
    if labels.dtype.kind not in "iu":
        raise TypeError(f"softmax_cross_entropy: labels are of dtype {labels.dtype}; pass integers")
    machine, soft, classes = tape.machine, tape.machine.softmax, logits.value.shape[-1]
    if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"softmax_cross_entropy: labels from {labels.min()} to {labels.max()} are not all from 0 to {classes - 1}; "
            "give the network an output for every class"
        )
    rows, target = logits.value.reshape(-1, logits.value.shape[-1]), labels.reshape(-1, 1)
    z, *forward = exponentials(soft, rows)

    def mean(a: Arithmetic) -> Array:
        losses = a.subtract(a.log(a.convert(forward[1])), a.convert(np.take_along_axis(z, target, 1)))
        return np.asarray(a.divide(a.sum(np.asarray(losses), 0), a.number(len(rows))))

    def backward(g: Array) -> Sequence[Array | None]:
        def gradient(a: Arithmetic) -> Array:
            e, s = exponentials(WIDE, rows)[1:] if a is WIDE else forward
            p = a.convert((WIDE if a is WIDE else soft).divide(e, s))
            onehot = np.zeros(p.shape, a.dtype)
            np.put_along_axis(onehot, target, 1, 1)
            share = a.divide(a.convert(g), a.number(len(rows)))
            return np.asarray(a.multiply(a.subtract(p, onehot), share)).reshape(logits.value.shape)

        return (machine.gradient("activation gradient", machine.loss, gradient, plain=soft.dtype == np.float32),)

    loss = mean(machine.loss)
    # Divided by a count that overflowed, everything is zero and nothing else tells.
    machine.ledger.watch(machine.layer, "count", machine.loss.number(len(rows)))
    machine.ledger.watch(machine.layer, "value", loss)
    return tape.record(loss[0, 0], (logits,), backward)


def sigmoid_cross_entropy(tape: Tape, logits: Variable, targets: Array) -> Variable:
    """Return the mean over all M outputs of the binary cross entropy of p = sigmoid(logits) with targets in [0, 1].

    With ``e = exp(-|z|)``, which cannot overflow: p = (1 if z >= 0 else e) / (1 + e), and the loss of one output is
    max(z, 0) - z t + log(1 + e). dL/dlogits = (p - t) g / M, in the arithmetic of the loss, then stored: the mean
    divides by every output of the batch, and this is where small gradients leave the range of binary16.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    logits : Variable
        Activations (..., N).
    targets : array of bool or float
        Of the same shape: true and false, or probabilities.

    Returns
    -------
    Variable
        The loss in nats, a scalar in the format of the policy's ``loss``.

    Raises
    ------
    ValueError
        For targets of another shape, below 0, above 1 or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> logits = tape.parameter(np.float16([[2.0, -2.0]]))
    >>> nn.sigmoid_cross_entropy(tape, logits, np.array([[True, False]])).value
    np.float32(0.12692805)
    """
    machine, r = tape.machine, tape.machine.loss
    columns = logits.value.shape[-1]
    targets = np.asarray(targets)
    hard = targets.dtype == np.bool_
    check_shape("sigmoid_cross_entropy", "targets", targets, *logits.value.shape)
    if not hard and targets.size and not 0 <= targets.min() <= targets.max() <= 1:
        raise ValueError(
            f"sigmoid_cross_entropy: targets from {targets.min()} to {targets.max()} are not all from 0 to 1; "
            "pass true and false, or probabilities"
        )

    def terms(a: Arithmetic) -> tuple[Array, Array, Array]:
        z = a.convert(logits.value)
        e = a.exp(-np.abs(z))
        return z, e, np.asarray(a.add(e, np.ones((), a.dtype)))

    z, _, s = forward = terms(r)
    # A selection where targets are 0 or 1; a product where they are smoothed.
    chosen = np.where(targets, z, np.zeros((), z.dtype)) if hard else r.multiply(z, r.convert(targets))
    losses = np.asarray(r.add(r.subtract(r.positive_part(z), chosen), r.log(s))).reshape(-1, columns)
    loss = np.asarray(r.divide(r.sum(r.sum(losses, 0), 1), r.number(z.size)))
    machine.ledger.watch(machine.layer, "count", r.number(z.size))
    machine.ledger.watch(machine.layer, "value", loss)

    def backward(g: Array) -> Sequence[Array | None]:
        def gradient(a: Arithmetic) -> Array:
            z, e, s = forward if a is r else terms(a)
            p = a.divide(np.where(z >= 0, np.ones((), a.dtype), e), s)
            d = a.subtract(p, targets.astype(a.dtype) if hard else a.convert(targets))
            return np.asarray(a.multiply(d, a.divide(a.convert(g), a.number(z.size))))

        return (machine.gradient("activation gradient", r, gradient),)

    return tape.record(loss[0, 0], (logits,), backward)
