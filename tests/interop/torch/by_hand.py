"""Networks written out operation by operation with halfsim's public functions: no tape, no machine, no PyTorch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import halfsim as hs
from halfsim.policy import Policy

FLUSHING = replace(hs.IEEE, flush_inputs=True, flush_results=True)


class In16:
    """Binary16, every operation a call of halfsim's."""

    def __init__(self, policy: Policy, sums: hs.Sequential):
        self.how = {"rounding": policy.rounding, "environment": FLUSHING if policy.flush_to_zero else hs.IEEE}
        self.sums = replace(sums, flush_to_zero=policy.flush_to_zero)

    def of(self, x):
        x = np.asarray(x)
        if x.dtype == np.float16:
            return np.asarray(hs.multiply(x, np.float16(1), environment=self.how["environment"]))
        return np.asarray(hs.convert(x, hs.BINARY16, **self.how))

    def number(self, x):
        return np.float16(x)

    def add(self, a, b):
        return np.asarray(hs.add(a, b, **self.how))

    def sub(self, a, b):
        return np.asarray(hs.subtract(a, b, **self.how))

    def mul(self, a, b):
        return np.asarray(hs.multiply(a, b, **self.how))

    def div(self, a, b):
        return np.asarray(hs.divide(a, b, **self.how))

    def sqrt(self, a):
        return np.asarray(hs.sqrt(a, **self.how))

    def sum(self, x, axis):
        return np.asarray(hs.sum(x, axis, accumulator=self.sums, keepdims=True))

    def function(self, f, x):
        return self.of(f(np.asarray(x, np.float64)))


class In32:
    """Binary32: NumPy's elementwise operations, sums one after the other."""

    def of(self, x):
        return np.asarray(x, np.float32)

    def number(self, x):
        return np.float32(x)

    add, sub, mul, div, sqrt = (staticmethod(f) for f in (np.add, np.subtract, np.multiply, np.divide, np.sqrt))

    def sum(self, x, axis):
        x = np.asarray(x)
        total = np.zeros_like(np.take(x, [0], axis))
        for i in range(x.shape[axis]):
            total = total + np.take(x, [i], axis)
        return total

    def function(self, f, x):
        return np.float32(f(np.asarray(x, np.float64)))


class Hand:
    """The arithmetic of a policy with binary16 storage."""

    def __init__(self, policy: Policy):
        self.policy = policy
        self.stored = In16(policy, hs.Sequential(format=hs.BINARY16))
        for name in ("batch_norm", "softmax", "bias", "loss"):
            row = getattr(policy, name)
            setattr(self, f"in_{name}", In32() if row.format == hs.BINARY32 else In16(policy, row))

    def product(self, kind, a, b, c=None):
        row = getattr(self.policy, kind)
        if self.policy.flush_to_zero and isinstance(row, hs.Sequential) and row.format == hs.BINARY16:
            row = replace(row, flush_to_zero=True)
        return self.stored.of(hs.matmul(a, b, c, accumulator=row))

    # Each of these returns a value and the function that takes the gradient of it.

    def linear(self, x, w, b):
        """Return x wᵀ + b, w (out, in), and the gradients of x, w and b."""

        def back(g):
            return self.product("data_gradient", g, w), self.product("weight_gradient", g.T, x), self.columns(g)

        return self.product("forward", x, w.T, b), back

    def columns(self, g):
        return self.stored.of(self.in_bias.sum(self.in_bias.of(g), 0)[0])

    def relu(self, x):
        return np.where(x > 0, x, np.float16(0)), lambda g: np.where(x > 0, g, np.float16(0))

    def tanh(self, x):
        s = self.stored
        y = s.function(np.tanh, x)
        return y, lambda g: s.mul(g, s.sub(np.float16(1), s.mul(y, y)))

    def sigmoid(self, x):
        s = self.stored
        y = s.function(lambda v: 1 / (1 + np.exp(-v)), x)
        return y, lambda g: s.mul(g, s.mul(y, s.sub(np.float16(1), y)))

    def softmax(self, x):
        r = self.in_softmax
        rows = r.of(x)
        e = r.function(np.exp, r.sub(rows, rows.max(-1, keepdims=True)))
        p = self.stored.of(r.div(e, self.last(r, e)))

        def back(g):
            incoming, y = r.of(g), r.of(p)
            return self.stored.of(r.mul(y, r.sub(incoming, self.last(r, r.mul(incoming, y)))))

        return p, back

    @staticmethod
    def last(r, x):
        return r.sum(x.reshape(-1, x.shape[-1]), 1).reshape(*x.shape[:-1], 1)

    def cross_entropy(self, x, labels):
        """Return the mean loss and the gradient of x for the gradient of the loss."""
        r, mean = self.in_softmax, self.in_loss
        z = r.of(x)
        z = r.sub(z, z.max(1, keepdims=True))
        e = r.function(np.exp, z)
        logarithms = r.sub(z, r.function(np.log, r.sum(e, 1)))
        picked = -mean.of(np.take_along_axis(logarithms, labels[:, None], 1))
        count = mean.number(len(labels))
        loss = mean.div(mean.sum(picked, 0), count).reshape(())

        def back(g):
            d = np.zeros(x.shape, picked.dtype)
            np.put_along_axis(d, labels[:, None], -mean.div(mean.of(g), count), 1)
            d = r.of(d)
            return self.stored.of(r.sub(d, r.mul(r.function(np.exp, logarithms), r.sum(d, 1))))

        return loss, back

    def normalised(self, x, gain, shift, axis, epsilon=1e-5):
        """Return rows normalised along an axis, and the gradients of x, gain and shift."""
        r = self.in_batch_norm
        rows, n = r.of(x), r.number(x.shape[axis])
        mean = r.div(r.sum(rows, axis), n)
        d = r.sub(rows, mean)
        variance = r.div(r.sum(r.mul(d, d), axis), n)
        inverse = r.div(r.number(1), r.sqrt(r.add(variance, r.number(epsilon))))
        h = r.mul(r.sub(rows, mean), inverse)
        y = self.stored.of(r.add(r.mul(h, r.of(gain)), r.of(shift)))

        def back(g):
            incoming = r.of(g)
            inner = r.mul(incoming, r.of(gain))
            first, second = r.div(r.sum(inner, axis), n), r.div(r.sum(r.mul(inner, h), axis), n)
            dx = r.mul(r.sub(r.sub(inner, first), r.mul(h, second)), inverse)
            sums = r.sum(r.mul(incoming, h), 0)[0], r.sum(incoming, 0)[0]
            return self.stored.of(dx), *(self.stored.of(v) for v in sums)

        return y, back

    def conv(self, x, w, b, padding):
        """Return the cross-correlation of x (n, c, h, w) with w (o, c, k, k), and the gradients."""
        n, c, height, width = x.shape
        o, _, k, _ = w.shape

        def patches(images, size):
            """Return (n h w, k k channels): kernel positions first, then channels."""
            rows = [
                images[i, :, y : y + k, z : z + k].transpose(1, 2, 0).reshape(-1)
                for i in range(n)
                for y in range(size)
                for z in range(size)
            ]
            return np.array(rows)

        def framed(images, by):
            return np.pad(images, ((0, 0), (0, 0), (by, by), (by, by)))

        out = height + 2 * padding - k + 1
        columns = patches(framed(x, padding), out)
        y = self.product("forward", columns, w.transpose(2, 3, 1, 0).reshape(-1, o), b)

        def back(g):
            rows = g.transpose(0, 2, 3, 1).reshape(-1, o)
            dw = self.product("weight_gradient", columns.T, rows).reshape(k, k, c, o).transpose(3, 2, 0, 1)
            turned = w[:, :, ::-1, ::-1].transpose(2, 3, 0, 1).reshape(-1, c)
            dx = self.product("data_gradient", patches(framed(g, k - 1 - padding), height), turned)
            return dx.reshape(n, height, width, c).transpose(0, 3, 1, 2), dw, self.columns(rows)

        return y.reshape(n, out, out, o).transpose(0, 3, 1, 2), back
