"""Normalisation by mean and variance: of a channel over the batch, or of a row over its features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from halfsim.training.arithmetic import Arithmetic, Array
from halfsim.training.ledger import is_special
from halfsim.training.nn.checks import check_number, check_shape
from halfsim.training.tape import Tape, Variable

__all__ = ["RULES", "Normalised", "batch_norm", "follow", "layer_norm", "normalise", "normalise_with", "spread"]


RULES = ("weights", "difference")
"""How a running statistic moves by m: ``(1 - m) old + m new``, as in PyTorch, or ``old - (old - new) m``, as
TensorFlow's moving averages do [@tensorflow-moving-averages]. By weights an infinity stays one for ever; by difference
it becomes a NaN at the next statistic, finite or not: infinity less infinity."""


class Normalised(NamedTuple):
    """One evaluation: all in one arithmetic; statistics have length 1 along the axis summed over."""

    mean: Array
    variance: Array
    inverse: Array
    xhat: Array


def normalise(a: Arithmetic, x: Array, axis: int, epsilon: float) -> Normalised:
    """Two passes: the mean, then the mean of the squared distances from it (the biased variance)."""
    x, count = a.convert(x), a.number(x.shape[axis])
    mean = a.divide(a.sum(x, axis), count)
    distance = a.subtract(x, mean)
    variance = np.asarray(a.divide(a.sum(a.multiply(distance, distance), axis), count))
    return normalise_with(a, x, np.asarray(mean), variance, epsilon)


def normalise_with(a: Arithmetic, x: Array, mean: Array, variance: Array, epsilon: float) -> Normalised:
    """Take the statistics as they are given."""
    mean, variance = a.convert(mean), a.convert(variance)
    inverse = np.asarray(a.divide(a.number(1), a.sqrt(a.add(variance, a.number(epsilon)))))
    return Normalised(mean, variance, inverse, np.asarray(a.multiply(a.subtract(a.convert(x), mean), inverse)))


def batch_norm(
    tape: Tape,
    x: Variable,
    gain: Variable,
    shift: Variable,
    name: str,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
    rule: str = RULES[0],
) -> Variable:
    """Return ``y = gain (x - mean) / sqrt(variance + epsilon) + shift`` per channel, the last axis of x.

    In training, mean and biased variance are those of the batch, all axes but the last, and the running ones move by
    `momentum` towards them (the variance times n / (n - 1)), by one of `RULES`; else the running ones are taken.
    Everything happens in the arithmetic of the batch normalisation, running statistics included, and is then stored
    [@ioffe2015].

    With h the normalised x: dL/dgain = Σ g h,  dL/dshift = Σ g,
    dL/dx = gain / sqrt(variance + epsilon) (g - Σg / n - h Σ(g h) / n).

    Parameters
    ----------
    tape : Tape
        What computes and records; `Tape.training` chooses the statistics, `Tape.state` holds the running ones.
    x : Variable
        Activations (..., C).
    gain, shift : Variable
        (C,) each.
    name : str
        The running statistics are ``NAME.mean`` and ``NAME.variance``, which start as 0 and 1.
    momentum : float
        Share of the new statistics in the running ones, from 0 to 1.
    epsilon : float
        Added to the variance, not negative; in binary16 it rounds to 1.0014e-5, a subnormal number.
    rule : str
        How running statistics move: ``"weights"``, by a weighted sum of old and new; ``"difference"``, by a share of
        their difference, which one infinite statistic turns into a NaN for good.

    Returns
    -------
    Variable
        Of the shape of x, stored as activations are.

    Raises
    ------
    ValueError
        For another rule, a gain or shift of another shape, or a momentum or epsilon out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([[1.0], [2.0], [3.0]]))
    >>> gain, shift = tape.parameter(np.ones(1, np.float16)), tape.parameter(np.zeros(1, np.float16))
    >>> nn.batch_norm(tape, x, gain, shift, "first").value.ravel()
    array([-1.225,  0.   ,  1.225], dtype=float16)
    >>> sorted(tape.state)
    ['first.mean', 'first.variance']
    """
    if rule not in RULES:
        raise ValueError(f"batch_norm: rule={rule!r} is not one of {', '.join(RULES)}; pass one of them")
    _check("batch_norm", x, gain, shift, epsilon)
    check_number("batch_norm", "momentum", momentum, 1)
    r = tape.machine.batch_norm
    rows = x.value.reshape(-1, x.value.shape[-1])
    running = _running(tape, name, rows.shape[1], r)

    def normalised(a: Arithmetic) -> Normalised:
        if tape.training:
            return normalise(a, rows, 0, epsilon)
        return normalise_with(a, rows, *running, epsilon)

    forward = normalised(r)
    sound = [tape.training and not is_special(statistic) for statistic in running]
    if tape.training:
        follow(r, running, forward, momentum, len(rows), rule)
    y = _affine(tape, x, rows, gain, shift, r, forward, normalised, 0)
    # Training never reads them, so nothing else of the step tells; nor do they spoil a later one.
    for moment, statistic, was_sound in zip(("mean", "variance"), running, sound, strict=True):
        if was_sound:
            tape.machine.ledger.watch(tape.machine.layer, f"running {moment}", statistic)
    return y


def layer_norm(tape: Tape, x: Variable, gain: Variable, shift: Variable, epsilon: float = 1e-5) -> Variable:
    """Return ``y = gain (x - mean) / sqrt(variance + epsilon) + shift`` with the statistics of every row.

    Derivatives as of `batch_norm`, and in the same arithmetic.

    Parameters
    ----------
    tape : Tape
        What computes and records.
    x : Variable
        Activations (..., C).
    gain, shift : Variable
        (C,) each.
    epsilon : float
        Added to the variance of a row, not negative.

    Returns
    -------
    Variable
        Of the shape of x, stored as activations are.

    Raises
    ------
    ValueError
        For a gain or shift of another shape, or an epsilon out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from halfsim.policy import named
    >>> from halfsim.training import nn
    >>> from halfsim.training.machine import Machine
    >>> from halfsim.training.tape import Tape
    >>> tape = Tape(Machine(named("mixed")))
    >>> x = tape.parameter(np.float16([[1.0, 2.0, 3.0]]))
    >>> gain, shift = tape.parameter(np.ones(3, np.float16)), tape.parameter(np.zeros(3, np.float16))
    >>> nn.layer_norm(tape, x, gain, shift).value
    array([[-1.225,  0.   ,  1.225]], dtype=float16)
    """
    _check("layer_norm", x, gain, shift, epsilon)
    rows = x.value.reshape(-1, x.value.shape[-1])
    r = tape.machine.batch_norm

    def normalised(a: Arithmetic) -> Normalised:
        return normalise(a, rows, 1, epsilon)

    return _affine(tape, x, rows, gain, shift, r, normalised(r), normalised, 1)


def _check(function: str, x: Variable, gain: Variable, shift: Variable, epsilon: float) -> None:
    check_shape(function, "gain", gain.value, x.value.shape[-1])
    check_shape(function, "shift", shift.value, x.value.shape[-1])
    check_number(function, "epsilon", epsilon, 1e30)


def _running(tape: Tape, name: str, channels: int, r: Arithmetic) -> tuple[Array, Array]:
    """Return the running mean and variance, which start as 0 and 1."""
    mean = tape.state.setdefault(f"{name}.mean", np.zeros(channels, r.dtype))
    return mean, tape.state.setdefault(f"{name}.variance", np.ones(channels, r.dtype))


def follow(
    r: Arithmetic,
    running: tuple[Array, Array],
    now: Normalised,
    momentum: float,
    count: int,
    rule: str = RULES[0],
) -> None:
    """Move running statistics, in place, by `momentum` towards those of a batch of `count` rows, along axis 0."""
    kept, taken = r.subtract(r.number(1), r.number(momentum)), r.number(momentum)
    unbiased = r.multiply(now.variance, r.divide(r.number(count), r.number(max(count - 1, 1))))
    for old, new in zip(running, (np.asarray(now.mean)[0], np.asarray(unbiased)[0]), strict=True):
        if rule == "difference":
            old[:] = r.subtract(old, r.multiply(r.subtract(old, new), taken))
        else:
            old[:] = r.add(r.multiply(kept, old), r.multiply(taken, new))


def _affine(
    tape: Tape,
    x: Variable,
    rows: Array,
    gain: Variable,
    shift: Variable,
    r: Arithmetic,
    forward: Normalised,
    normalised: Callable[[Arithmetic], Normalised],
    axis: int,
) -> Variable:
    """Record ``gain h + shift`` and its derivative; `axis` is the one that statistics are taken over."""
    machine, training = tape.machine, tape.training

    def at(a: Arithmetic) -> Normalised:
        return forward if a is r else normalised(a)

    if training or axis:
        machine.ledger.watch(machine.layer, "count", r.number(rows.shape[axis]))
    # A variance that overflowed hides: its inverse is zero, and the output finite.
    for name, statistic in (("mean", forward.mean), ("variance", forward.variance)):
        machine.ledger.watch(machine.layer, name, statistic)
    y = machine.value(
        r, lambda a: a.add(a.multiply(at(a).xhat, a.convert(gain.value)), a.convert(shift.value))
    ).reshape(x.value.shape)

    def backward(g: Array) -> Sequence[Array | None]:
        g = g.reshape(rows.shape)

        def dx(a: Arithmetic) -> Array:
            h = at(a)
            inner = a.multiply(a.convert(g), a.convert(gain.value))
            if axis == 0 and not training:
                return np.asarray(a.multiply(inner, h.inverse))
            return spread(a, np.asarray(inner), h.xhat, h.inverse, axis)

        return (
            machine.gradient("activation gradient", r, dx).reshape(x.value.shape) if x.needed else None,
            machine.gradient("weight gradient", r, lambda a: a.sum(a.multiply(a.convert(g), at(a).xhat), 0)[0]),
            machine.gradient("weight gradient", r, lambda a: a.sum(a.convert(g), 0)[0]),
        )

    return tape.record(y, (x, gain, shift), backward)


def spread(a: Arithmetic, inner: Array, xhat: Array, inverse: Array, axis: int) -> Array:
    """Return dL/dx where the statistics are those of x: ``inverse (i - Σi / n - h Σ(i h) / n)``, i = g gain, h = xhat.

    Sums go along `axis`, which has n elements.
    """
    count = a.number(xhat.shape[axis])
    sums = a.divide(a.sum(inner, axis), count), a.divide(a.sum(a.multiply(inner, xhat), axis), count)
    centred = a.subtract(a.subtract(inner, sums[0]), a.multiply(xhat, sums[1]))
    return np.asarray(a.multiply(centred, inverse))
