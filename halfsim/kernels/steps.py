"""Products, sums and differences rounded to the format of an accumulator, in vectors, for recurrences of any kind.

The type of a task says which: binary32 to nearest, where products of binary16 are exact, or binary16 in every
deterministic rounding, in vectors of binary64. In memory numbers of both are binary32.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy import float64

from halfsim.core._jit import choose_by_type, scalar
from halfsim.kernels import arithmetic16, vectors
from halfsim.kernels.addends import read16, read32, write16, write32
from halfsim.kernels.arithmetic16 import Rule16, round_rule
from halfsim.kernels.simd import Rule
from halfsim.kernels.vectors import load, splat

__all__ = ["Steps16", "Steps32", "add", "fetch", "keep", "product", "read", "subtract", "write"]


class Steps32(NamedTuple):
    """Steps in binary32, rounded to nearest."""

    rule: Rule
    exact: Rule16
    sums: object
    """Memory for the sums of a few rows."""


class Steps16(NamedTuple):
    """Steps in binary16."""

    rule: Rule
    exact: Rule16
    sums: object


def product(task, x, b, at):
    """Round the products of a number with the vector of b at `at`."""
    raise NotImplementedError("for compiled loops only")


@scalar
def _product32(task, x, b, at):
    return vectors.multiply(splat(x), load(b, at))


@scalar
def _product16(task, x, b, at):
    return round_rule(vectors.multiply(splat(float64(x)), vectors.widen(load(b, at))), task.exact)


def add(task, x, y):
    """Round x + y."""
    raise NotImplementedError("for compiled loops only")


@scalar
def _add32(task, x, y):
    return vectors.add(x, y)


@scalar
def _add16(task, x, y):
    return round_rule(arithmetic16.add(x, y, task.exact), task.exact)


def subtract(task, x, y):
    """Round x - y."""
    raise NotImplementedError("for compiled loops only")


@scalar
def _subtract32(task, x, y):
    return vectors.subtract(x, y)


@scalar
def _subtract16(task, x, y):
    return round_rule(arithmetic16.add(x, arithmetic16.negative(y), task.exact), task.exact)


def fetch(task, memory, at):
    """Load the vector at `at`."""
    raise NotImplementedError("for compiled loops only")


@scalar
def _fetch32(task, memory, at):
    return load(memory, at)


@scalar
def _fetch16(task, memory, at):
    return vectors.widen(load(memory, at))


def keep(task, memory, at, x):
    """Store a vector at `at`."""
    raise NotImplementedError("for compiled loops only")


@scalar
def _keep32(task, memory, at, x):
    vectors.store(memory, at, x)


@scalar
def _keep16(task, memory, at, x):
    vectors.store(memory, at, vectors.narrow(x))


def read(task, source, total):
    """Read C."""
    raise NotImplementedError("for compiled loops only")


@scalar
def _read32(task, source, total):
    read32(source, total)


@scalar
def _read16(task, source, total):
    read16(source, task.rule, total)


def write(task, total, target):
    """Write results where C was read."""
    raise NotImplementedError("for compiled loops only")


@scalar
def _write32(task, total, target):
    write32(total, target)


@scalar
def _write16(task, total, target):
    write16(total, target)


for _step, _in32, _in16 in (
    (product, _product32, _product16),
    (add, _add32, _add16),
    (subtract, _subtract32, _subtract16),
    (fetch, _fetch32, _fetch16),
    (keep, _keep32, _keep16),
    (read, _read32, _read16),
    (write, _write32, _write16),
):
    choose_by_type(_step, {Steps32: _in32, Steps16: _in16})
