"""The primitives of a network, each with its derivative beside it.

Values and gradients are in the machine's storage format; g is the gradient of the output, scaled as the loss is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halfsim.training.arithmetic import Array
from halfsim.training.tape import Tape, Variable

__all__ = ["linear", "relu", "sigmoid_cross_entropy", "softmax_cross_entropy"]


def linear(tape: Tape, x: Variable, w: Variable, b: Variable) -> Variable:
    """Return ``y = x w + b`` for x of shape (M, K), w (K, N) and b (N,).

    dL/dx = g wᵀ,  dL/dw = xᵀ g,  dL/db = the sum of the rows of g.
    """
    machine = tape.machine
    y = machine.forward(x.value, w.value, b.value)

    def backward(g: Array) -> Sequence[Array | None]:
        return (
            machine.data_gradient(g, w.value.T) if x.needed else None,
            machine.weight_gradient(x.value.T, g),
            machine.bias_gradient(g),
        )

    return tape.record(y, (x, w, b), backward)


def relu(tape: Tape, x: Variable) -> Variable:
    """Return ``y = max(x, 0)``.

    dL/dx = g where x > 0, else 0: a selection, which rounds nothing.
    """
    y = tape.machine.storage.maximum(x.value, _zero(x.value))

    def backward(g: Array) -> Sequence[Array | None]:
        return (np.where(y > 0, g, _zero(g)),)

    return tape.record(y, (x,), backward)


def softmax_cross_entropy(tape: Tape, logits: Variable, labels: Array) -> Variable:
    """Return the mean over M rows of ``-log p[label]``, p = softmax of the logits (M, N).

    With z less its largest element, e = exp z and s = the sum of e: p = e / s and -log p[label] = log s - z[label].
    dL/dlogits = (p - onehot(label)) g / M. All of it in the arithmetic of the reductions, the gradient then stored.
    """
    machine, r = tape.machine, tape.machine.reductions
    z = r.convert(logits.value)
    z = r.subtract(z, z.max(axis=1, keepdims=True))
    e = r.exp(z)
    s = r.sum(e, 1)
    rows = r.convert(np.float32(len(labels)))
    losses = r.subtract(r.log(s), np.take_along_axis(z, labels[:, None], 1))
    loss = r.divide(r.sum(losses, 0), rows)

    def backward(g: Array) -> Sequence[Array | None]:
        onehot = np.zeros_like(z)
        np.put_along_axis(onehot, labels[:, None], 1, 1)
        d = r.subtract(r.divide(e, s), onehot)
        return (machine.store_gradient("activation", r.multiply(d, r.divide(g, rows))),)

    return tape.record(loss[0, 0], (logits,), backward)


def sigmoid_cross_entropy(tape: Tape, logits: Variable, targets: Array) -> Variable:
    """Return the mean over all M N outputs of the binary cross entropy of p = sigmoid(logits) with targets 0 or 1.

    With e = exp(-|z|), which cannot overflow: p = (1 if z >= 0 else e) / (1 + e), and the loss of one output is
    max(z, 0) - z t + log(1 + e). dL/dlogits = (p - t) g / (M N), in the arithmetic of the reductions, then stored:
    the mean divides by every output of the batch, and this is where small gradients leave the range of binary16.
    """
    machine, r = tape.machine, tape.machine.reductions
    z = r.convert(logits.value)
    t = targets.astype(r.dtype)
    e = r.exp(-np.abs(z))
    one = np.ones((), r.dtype)
    s = r.add(e, one)
    outputs = r.convert(np.float32(z.size))
    losses = r.add(r.subtract(r.maximum(z, _zero(z)), np.where(targets, z, _zero(z))), r.log(s))
    loss = r.divide(r.sum(r.sum(losses, 0), 1), outputs)

    def backward(g: Array) -> Sequence[Array | None]:
        p = r.divide(np.where(z >= 0, one, e), s)
        return (machine.store_gradient("activation", r.multiply(r.subtract(p, t), r.divide(g, outputs))),)

    return tape.record(loss[0, 0], (logits,), backward)


def _zero(x: Array) -> Array:
    return np.zeros((), x.dtype)
