"""Sums of binary16 in ascending k, in every deterministic rounding, in vector registers, many columns side by side.

Equal to `sequential` and `sequential_fused` of `halfsim.kernels.gemm`, bit by bit, for every operand (tests prove it).

A few steps at a time are tried in binary32, as `halfsim.kernels.trials` says. Where a trial fails they are done again
in binary64, and where a result is infinite or a NaN, or may be, all that follow are tried specially.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy import float64, int32

from halfsim.core._jit import choose_by_type, kernel, merged, scalar
from halfsim.core.fields import larger, smaller
from halfsim.kernels.addends import read16, write16
from halfsim.kernels.arithmetic16 import Rule16, add, add_product, make_rule16, round_nearest, round_rule
from halfsim.kernels.cuts import Trial, read_trial
from halfsim.kernels.integers import any_below, unsigned_smaller
from halfsim.kernels.simd import Rule, make_rule
from halfsim.kernels.sweep import ADVANCE, grid, walk
from halfsim.kernels.trials import (
    check,
    check_nothing,
    decided,
    exceeded,
    no_checks,
    subnormal,
    try_fused,
    try_nearest,
    try_unfused,
    try_unfused_nearest,
)
from halfsim.kernels.vectors import LANES, afresh, load, multiply, narrow, splat, store, widen

__all__ = ["fused", "fused_nearest", "unfused", "unfused_nearest"]

_GROUP = 8
"""Steps tried before their checks are looked at."""
_LONGEST_PAUSE = 32


class _Task(NamedTuple):
    """The task of a kernel; its type, one of those below, says how a step is tried and done."""

    rule: Rule
    trial: Trial
    exact: Rule16
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


def _attempt(task, x, y, total, checks, special):
    raise NotImplementedError("for compiled loops only")


def _check(task, result, checks):
    raise NotImplementedError("for compiled loops only")


def _round(task, value):
    raise NotImplementedError("for compiled loops only")


@scalar
def _round_nearest(task, value):
    return round_nearest(value, task.exact)


@scalar
def _round_rule(task, value):
    return round_rule(value, task.exact)


choose_by_type(
    _attempt,
    {_FusedNearest: try_nearest, _Fused: try_fused, _UnfusedNearest: try_unfused_nearest, _Unfused: try_unfused},
)
choose_by_type(
    _check,
    {_FusedNearest: check, _Fused: check, _UnfusedNearest: check_nothing, _Unfused: check_nothing},
)
choose_by_type(
    _round,
    {
        _FusedNearest: _round_nearest,
        _Fused: _round_rule,
        _UnfusedNearest: _round_nearest,
        _Unfused: _round_rule,
    },
)


@scalar
def _step(task, x, column, total):
    product = multiply(splat(float64(x)), column)
    if task.fused:
        return _round(task, add_product(product, total, task.exact))
    return _round(task, add(_round(task, product), total, task.exact))


@scalar
def _steps(task, a, x0, x1, b, y0, y1, width, terms, total0, total1):
    """Do some steps of two vectors of sums."""
    total0, total1 = widen(total0), widen(total1)
    for k in range(terms):
        total0 = _step(task, a[x0 + k], widen(load(b, y0 + k * width)), total0)
        total1 = _step(task, a[x1 + k], widen(load(b, y1 + k * width)), total1)
    return narrow(total0), narrow(total1)


@merged
def _chains(task, a, x0, x1, b, y0, y1, width, start, terms, special):
    """Carry two vectors of sums through a part of the terms: rows from `x0` and `x1` by columns from `y0` and `y1`.

    Begin with the term `start`. Return the first from which on only special trials will do.
    """
    total = task.total
    total0, total1 = load(total, 0), load(total, LANES)
    failures, pause, done = 0, 0, terms
    for first in range(start, terms, _GROUP):
        number = smaller(_GROUP, terms - first)
        again = True
        if pause == 0:
            sum0, sum1, checks = total0, total1, no_checks()
            for k in range(first, first + number):
                row0, column0 = splat(a[x0 + k]), load(b, y0 + k * width)
                row1, column1 = splat(a[x1 + k]), load(b, y1 + k * width)
                next0, rest0, checks = _attempt(task, row0, column0, sum0, checks, special)
                next1, rest1, checks = _attempt(task, row1, column1, sum1, checks, special)
                if any_below(unsigned_smaller(rest0, rest1), splat(int32(1))):
                    # Too few sums come here for their factors to keep registers.
                    here = afresh(k)
                    if any_below(rest0, splat(int32(1))):
                        row, column = splat(a[x0 + here]), load(b, y0 + here * width)
                        next0 = decided(task, row, column, sum0, special)
                    if any_below(rest1, splat(int32(1))):
                        row, column = splat(a[x1 + here]), load(b, y1 + here * width)
                        next1 = decided(task, row, column, sum1, special)
                if not special:
                    checks = _check(task, next0, checks)
                    checks = _check(task, next1, checks)
                sum0, sum1 = next0, next1
            if not special and exceeded(checks):
                done = first
                break
            again = subnormal(checks)
            # Where trials keep failing they are made more and more seldom.
            failures = smaller(2 * failures + 1, _LONGEST_PAUSE) if again else 0
            pause = failures
        if again:
            past = first * width
            total0, total1 = _steps(
                task, a, x0 + first, x1 + first, b, y0 + past, y1 + past, width, number, total0, total1
            )
            pause = larger(pause - 1, 0)
        else:
            total0, total1 = sum0, sum1
    store(total, 0, total0)
    store(total, LANES, total1)
    return done


# Compiled for itself: in the same function the two loops would take registers from each other.
@scalar
def _special(task, a, x0, x1, b, y0, y1, width, first, terms):
    _chains(task, a, x0, x1, b, y0, y1, width, first, terms, True)


@scalar
def _pair(task, a, b, panel, part, d, row0, column0, row1, column1):
    """Carry two vectors of sums through a part of the terms, from d to d."""
    left0, left1 = part.left + column0, part.left + column1
    target0 = d[part.row + row0, left0 : smaller(left0 + LANES, part.right)]
    target1 = d[part.row + row1, left1 : smaller(left1 + LANES, part.right)]
    total0, total1 = task.total[:LANES], task.total[LANES : 2 * LANES]
    read16(target0, task.rule, total0)
    read16(target1, task.rule, total1)
    x0, x1 = row0 * part.depth, row1 * part.depth
    y0, y1 = panel + column0, panel + column1
    done = _chains(task, a, x0, x1, b, y0, y1, part.width, 0, part.terms, False)
    if done < part.terms:
        _special(task, a, x0, x1, b, y0, y1, part.width, done, part.terms)
    write16(total0, target0)
    write16(total1, target1)


@scalar
def _rows16(task, a, count, b, panel, part, d, state):
    """Carry some rows through a part of the terms: two at a time, and two vectors of an odd last one."""
    columns = part.right - part.left
    for column in range(0, columns, LANES):
        for i in range(0, count - 1, 2):
            _pair(task, a, b, panel, part, d, i, column, i + 1, column)
    if count & 1:
        for column in range(0, columns, 2 * LANES):
            other = column + LANES if column + LANES < columns else column
            _pair(task, a, b, panel, part, d, count - 1, column, count - 1, other)


for _task in (_FusedNearest, _Fused, _UnfusedNearest, _Unfused):
    ADVANCE[_task] = _rows16


def fused_nearest(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d (products * M, N), uint16 patterns that hold C: fused, ties to even."""
    _fused_nearest(a, b, batch_a, batch_b, d, start, stop, control, grid(a, b, stop - start))


def fused(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute the same in any deterministic rounding, flushing or not."""
    _fused(a, b, batch_a, batch_b, d, start, stop, control, grid(a, b, stop - start))


def unfused_nearest(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute rows `start` to `stop` of d with product and sum rounded, ties to even."""
    _unfused_nearest(a, b, batch_a, batch_b, d, start, stop, control, grid(a, b, stop - start))


def unfused(a, b, batch_a, batch_b, d, start, stop, control):
    """Compute the same in any deterministic rounding, flushing or not."""
    _unfused(a, b, batch_a, batch_b, d, start, stop, control, grid(a, b, stop - start))


@kernel
def _fused_nearest(a, b, batch_a, batch_b, d, start, stop, control, grid):
    rule = make_rule(control)
    task = _FusedNearest(rule, read_trial(control), make_rule16(control), True, grid.sums)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, grid, task)


@kernel
def _fused(a, b, batch_a, batch_b, d, start, stop, control, grid):
    rule = make_rule(control)
    task = _Fused(rule, read_trial(control), make_rule16(control), True, grid.sums)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, grid, task)


@kernel
def _unfused_nearest(a, b, batch_a, batch_b, d, start, stop, control, grid):
    rule = make_rule(control)
    task = _UnfusedNearest(rule, read_trial(control), make_rule16(control), False, grid.sums)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, grid, task)


@kernel
def _unfused(a, b, batch_a, batch_b, d, start, stop, control, grid):
    rule = make_rule(control)
    task = _Unfused(rule, read_trial(control), make_rule16(control), False, grid.sums)
    walk(a, b, batch_a, batch_b, d, start, stop, rule, grid, task)
