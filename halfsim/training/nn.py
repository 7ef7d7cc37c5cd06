"""The primitives of a network, each with its derivative beside it.

Values and gradients are in the machine's storage format; g is the gradient of the output, scaled as the loss is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halfsim.training.arithmetic import Arithmetic, Array
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
    y = tape.machine.storage.positive_part(x.value)

    def backward(g: Array) -> Sequence[Array | None]:
        return (np.where(y > 0, g, np.zeros((), g.dtype)),)

    return tape.record(y, (x,), backward)


def softmax_cross_entropy(tape: Tape, logits: Variable, labels: Array) -> Variable:
    """Return the mean over M rows of ``-log p[label]``, p = softmax of the logits (M, N).

    With z less its largest element, e = exp z and s = the sum of e: p = e / s and -log p[label] = log s - z[label].
    dL/dlogits = (p - onehot(label)) g / M. All of it in the arithmetic of the reductions, the gradient then stored.
    """
    machine, r = tape.machine, tape.machine.reductions

    def terms(a: Arithmetic) -> tuple[Array, Array, Array]:
        z = a.convert(logits.value)
        z = a.subtract(z, z.max(axis=1, keepdims=True))
        e = a.exp(z)
        return z, e, a.sum(e, 1)

    z, _, s = forward = terms(r)
    losses = r.subtract(r.log(s), np.take_along_axis(z, labels[:, None], 1))
    loss = r.divide(r.sum(losses, 0), r.convert(np.float32(len(labels))))

    def backward(g: Array) -> Sequence[Array | None]:
        def gradient(a: Arithmetic) -> Array:
            _, e, s = forward if a is r else terms(a)
            onehot = np.zeros(e.shape, a.dtype)
            np.put_along_axis(onehot, labels[:, None], 1, 1)
            d = a.subtract(a.divide(e, s), onehot)
            return np.asarray(a.multiply(d, a.divide(a.convert(g), a.convert(np.float32(len(labels))))))

        return (machine.reduced_gradient("activation", gradient),)

    return tape.record(loss[0, 0], (logits,), backward)


def sigmoid_cross_entropy(tape: Tape, logits: Variable, targets: Array) -> Variable:
    """Return the mean over all M N outputs of the binary cross entropy of p = sigmoid(logits) with targets 0 or 1.

    With e = exp(-|z|), which cannot overflow: p = (1 if z >= 0 else e) / (1 + e), and the loss of one output is
    max(z, 0) - z t + log(1 + e). dL/dlogits = (p - t) g / (M N), in the arithmetic of the reductions, then stored:
    the mean divides by every output of the batch, and this is where small gradients leave the range of binary16.
    """
    machine, r = tape.machine, tape.machine.reductions

    def terms(a: Arithmetic) -> tuple[Array, Array, Array]:
        z = a.convert(logits.value)
        e = a.exp(-np.abs(z))
        return z, e, a.add(e, np.ones((), a.dtype))

    z, _, s = forward = terms(r)
    losses = r.add(r.subtract(r.positive_part(z), np.where(targets, z, np.zeros((), z.dtype))), r.log(s))
    loss = r.divide(r.sum(r.sum(losses, 0), 1), r.convert(np.float32(z.size)))

    def backward(g: Array) -> Sequence[Array | None]:
        def gradient(a: Arithmetic) -> Array:
            z, e, s = forward if a is r else terms(a)
            p = a.divide(np.where(z >= 0, np.ones((), a.dtype), e), s)
            d = a.subtract(p, targets.astype(a.dtype))
            return np.asarray(a.multiply(d, a.divide(a.convert(g), a.convert(np.float32(z.size)))))

        return (machine.reduced_gradient("activation", gradient),)

    return tape.record(loss[0, 0], (logits,), backward)
