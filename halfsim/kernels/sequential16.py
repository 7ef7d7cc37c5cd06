"""Sums of binary16 in ascending k, in every deterministic rounding, in vector registers, many columns side by side.

Equal to `sequential` and `sequential_fused` of `halfsim.kernels.gemm`, bit by bit, for every operand (tests prove it).

A few steps at a time are tried in binary32, as `halfsim.kernels.trials` says. Where a trial fails they are done again,
rounded to odd first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import int32

from halfsim.core._jit import choose_by_type, kernel, scalar
from halfsim.kernels.simd import Rule, bits_of, decode, make_rule, nearest, rounded, sum_to_odd
from halfsim.kernels.sums import read16, write16
from halfsim.kernels.sweep import ADVANCE, walk
from halfsim.kernels.trials import (
    Trial,
    decided,
    failed,
    no_checks,
    read_trial,
    try_fused,
    try_nearest,
    try_nothing,
    try_unfused,
)
from halfsim.kernels.vectors import LANES, any_below, load, splat, store, unsigned_smaller

__all__ = ["fused", "fused_nearest", "unfused", "unfused_nearest"]

_GROUP = 8
"""Steps tried before their checks are looked at."""
_LONGEST_PAUSE = 32


class _Task(NamedTuple):
    """The task of a kernel; its type, one of those below, says how a step is tried and done."""

    rule: Rule
    trial: Trial
    fused: bool
    total: object
    """Memory for the sums of two rows."""


class _FusedNearest(_Task):
    """Of `fused_nearest`."""


class _Fused(_Task):
    """Of `fused`."""


class _UnfusedNearest(_Task):
    """Of `unfused_nearest`."""


class _Unfused(_Task):
    """Of `unfused`."""


@scalar
def _steps_nearest(task, a, x, b, y, width, terms, at):
    """Every step of one row, ties to even."""
    rule, fused, sums = task.rule, task.fused, task.total[at : at + LANES]
    top = int32(0)
    for k in range(terms):
        factor = a[x + k]
        column = b[y + k * width : y + k * width + LANES]
        for j in range(sums.size):
            term = factor * column[j]
            if not fused:
                term = decode(nearest(bits_of(term), top)[0], rule)
            sums[j] = decode(nearest(sum_to_odd(term, sums[j], rule), top)[0], rule)


@scalar
def _steps_rounded(task, a, x, b, y, width, terms, at):
    """Every step of one row, in any deterministic rounding."""
    rule, fused, sums = task.rule, task.fused, task.total[at : at + LANES]
    top = int32(0)
    for k in range(terms):
        factor = a[x + k]
        column = b[y + k * width : y + k * width + LANES]
        for j in range(sums.size):
            term = factor * column[j]
            if not fused:
                term = decode(rounded(bits_of(term), rule, top)[0], rule)
            sums[j] = decode(rounded(sum_to_odd(term, sums[j], rule), rule, top)[0], rule)


def _attempt(task, x, y, total, checks):
    raise NotImplementedError("for compiled loops only")


def _steps(task, a, x, b, y, width, terms, at):
    raise NotImplementedError("for compiled loops only")


choose_by_type(
    _attempt,
    {_FusedNearest: try_nearest, _Fused: try_fused, _UnfusedNearest: try_unfused, _Unfused: try_nothing},
)
choose_by_type(
    _steps,
    {
        _FusedNearest: _steps_nearest,
        _Fused: _steps_rounded,
        _UnfusedNearest: _steps_nearest,
        _Unfused: _steps_rounded,
    },
)


@scalar
def _chains(task, a, x0, x1, b, at, width, terms):
    """Carry two rows, which start at `x0` and `x1`, through a part of the terms; `total` holds their sums."""
    total = task.total
    total0, total1 = load(total, 0), load(total, LANES)
    failures, pause = 0, 0
    for first in range(0, terms, _GROUP):
        number = min(_GROUP, terms - first)
        again = True
        if pause == 0:
            sum0, sum1, checks = total0, total1, no_checks()
            for k in range(first, first + number):
                x, y, column = splat(a[x0 + k]), splat(a[x1 + k]), load(b, at + k * width)
                next0, rest0, checks = _attempt(task, x, column, sum0, checks)
                next1, rest1, checks = _attempt(task, y, column, sum1, checks)
                if any_below(unsigned_smaller(rest0, rest1), splat(int32(1))):
                    next0, next1 = decided(task, x, column, sum0), decided(task, y, column, sum1)
                sum0, sum1 = next0, next1
            again = failed(checks)
            # Where trials keep failing they are made more and more seldom.
            failures = min(2 * failures + 1, _LONGEST_PAUSE) if again else 0
            pause = failures
        if again:
            store(total, 0, total0)
            store(total, LANES, total1)
            _steps(task, a, x0 + first, b, at + first * width, width, number, 0)
            _steps(task, a, x1 + first, b, at + first * width, width, number, LANES)
            total0, total1 = load(total, 0), load(total, LANES)
            pause = max(pause - 1, 0)
        else:
            total0, total1 = sum0, sum1
    store(total, 0, total0)
    store(total, LANES, total1)


@scalar
def _rows16(task, a, count, b, panel, part, d, state):
    """Carry some rows through a part of the terms, two at a time; an odd last one is computed twice."""
    total = task.total
    for column in range(0, part.right - part.left, LANES):
        left = part.left + column
        right = min(left + LANES, part.right)
        for i in range(0, count, 2):
            other = min(i + 1, count - 1)
            for r in range(2):
                source = d[part.row + (i if r == 0 else other), left:right]
                read16(source, task.rule, total[r * LANES : (r + 1) * LANES])
            x0, x1 = i * part.depth, other * part.depth
            _chains(task, a, x0, x1, b, panel + column, part.width, part.terms)
            for r in range(other - i + 1):
                write16(total[r * LANES : (r + 1) * LANES], d[part.row + i + r, left:right])


for _task in (_FusedNearest, _Fused, _UnfusedNearest, _Unfused):
    ADVANCE[_task] = _rows16


@kernel
def fused_nearest(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N), uint16 patterns that hold C: fused, ties to even."""
    total = np.zeros(2 * LANES, np.float32)
    rule = make_rule(control)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, 0, total, _FusedNearest(rule, read_trial(control), True, total))


@kernel
def fused(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute the same in any deterministic rounding, flushing or not."""
    total = np.zeros(2 * LANES, np.float32)
    rule = make_rule(control)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, 0, total, _Fused(rule, read_trial(control), True, total))


@kernel
def unfused_nearest(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d with product and sum rounded, ties to even."""
    total = np.zeros(2 * LANES, np.float32)
    rule = make_rule(control)
    walk(
        a, b, batch_a, batch_b, d, start, stop, rule, 0, total, _UnfusedNearest(rule, read_trial(control), False, total)
    )


@kernel
def unfused(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute the same in any deterministic rounding, flushing or not."""
    total = np.zeros(2 * LANES, np.float32)
    rule = make_rule(control)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, 0, total, _Unfused(rule, read_trial(control), False, total))
