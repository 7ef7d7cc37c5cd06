"""Count the partial sums of a product that did not change although something that is not zero was added to them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import FP32, Accumulator, FusedDotAdd, MatrixUnit, Sequential
from halfsim.core import arithmetic, dot
from halfsim.core._jit import choose_by_type, kernel, scalar
from halfsim.core.fields import F16, layout
from halfsim.core.philox import draw
from halfsim.formats import BINARY16, Format
from halfsim.kernels import gemm, host, mfma
from halfsim.kernels.product import convert_each, first_step, plan
from halfsim.kernels.simd import bits_of, decode, make_rule, rounded, sum_to_odd
from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd
from halfsim.rounding import Stochastic

__all__ = ["swallowed", "swallowed32"]

_MAGNITUDE = 0x7FFF


def swallowed(
    accumulator: Accumulator,
    a: NDArray[Any],
    b: NDArray[Any],
    c: NDArray[Any],
    elements: NDArray[np.int64],
    source: Format,
) -> tuple[int, int]:
    """Return how many additions left the partial sum as it was, and how many there were.

    An addition is a step of a sequential sum, or a block of a matrix unit, of which at least one product is not zero.
    Products that are zero add nothing and are not counted, nor is a sum that is infinite or NaN already. Sums of
    another kind (a tree, a compensated or an exact one) have no partial sum that a term could be swallowed by: (0, 0).

    Parameters
    ----------
    accumulator : Accumulator
        With binary16 factors.
    a, b : uint16 array, shape (n, K)
        Patterns of the factors of n sums.
    c : int64 array, shape (n,)
        Patterns of their addends.
    elements : int64 array, shape (n,)
        Flat indices of the sums into the result: which random words they draw.
    source : Format
        Of the addends: binary16 or binary32, rounded to the accumulator's as it does that, or the accumulator's own.
    """
    counts = np.zeros(2, np.int64)
    if isinstance(accumulator, Sequential | MatrixUnit):
        chosen, d = plan(accumulator), c.copy()
        if source != chosen.format:
            convert_each(host, chosen, d, source, chosen.format, elements)
        step = first_step(chosen, source)
        if isinstance(accumulator, Sequential):
            _watch(accumulator, a, b, d, elements, step, counts)
        elif isinstance(accumulator.rounding, Stochastic):
            # One by one, each as the first of a result that begins where it stands: so it draws its own words.
            for i, element in enumerate(elements.tolist()):
                one = slice(i, i + 1)
                _walk(accumulator, a[one], b[one], d[one], element, step, counts)
        else:
            _walk(accumulator, a, b, d, 0, step, counts)
    return int(counts[0]), int(counts[1])


def _watch(row: Sequential, a: Any, b: Any, c: Any, elements: Any, step: int, counts: Any) -> None:
    """Add the (swallowed, counted) additions of sequential sums, in vectors where the processor or `simd` rounds so."""
    chosen = plan(row)
    if row.format == BINARY16 and not isinstance(row.rounding, Stochastic):
        _lanes16(*_columns(a, b), c.astype(np.int32), chosen.control, row.fused, counts)
    elif replace(row, fused=False) == replace(FP32, fused=False):
        # Products of binary16 are exact in binary32: fused or not, the sums are those of the processor.
        x, y = (patterns.view(np.float16).astype(np.float32) for patterns in (a, b))
        counts += swallowed32(x, y, c.astype(np.uint32).view(np.float32))
    else:
        words = elements, layout(chosen.format), chosen.control, chosen.seed, chosen.offset
        _sequential(np.ascontiguousarray(a), np.ascontiguousarray(b), c, *words, step, row.fused, counts)


@kernel
def _sequential(x, y, d, elements, to, control, seed, index, step, fused, counts):
    """Repeat the steps of `halfsim.kernels.gemm.sequential` or `sequential_fused`, looking at every partial sum."""
    for i in range(d.size):
        total = d[i]
        counter = index + elements[i]
        for k in range(x.shape[1]):
            if total & to.infinity == to.infinity:
                break
            p, q = np.int64(x[i, k]), np.int64(y[i, k])
            before = total
            if fused:
                total, _ = arithmetic.fma(p, q, total, F16, to, control, draw(control, seed, counter, step + k))
            else:
                total, _ = dot.sequential_step(total, p, q, F16, to, control, seed, counter, step + 2 * k)
            if p & _MAGNITUDE and q & _MAGNITUDE:
                counts[1] += 1
                counts[0] += total == before


def _walk(row: MatrixUnit, a: Any, b: Any, d: Any, begin: int, step: int, counts: Any) -> None:
    """Add the (swallowed, counted) blocks of a matrix unit: the whole ones, and what is left over.

    The sums draw the random words of elements `begin` and on.
    """
    chosen = plan(row)
    unit = _UNITS[type(row)](*chosen.extra)
    each, flags, to = np.arange(d.size), np.zeros(d.size, np.uint8), layout(chosen.format)
    scratch, before = np.empty(chosen.scratch(row.terms), np.int64), d.copy()
    whole = a.shape[1] // row.terms * row.terms
    for first, last, length in ((0, whole, row.terms), (whole, a.shape[1], a.shape[1] - whole)):
        if first < last:
            x, y = (
                np.ascontiguousarray(p[:, first:last].reshape(each.size, -1, length).swapaxes(0, 1)) for p in (a, b)
            )
            words = chosen.control, chosen.seed, chosen.offset + begin, step + first // row.terms
            _blocks(unit, x[:, :, None], y[..., None], d, before, each, flags, to, *words, scratch, counts)


class _Unit(NamedTuple):
    """A matrix unit: the last argument of its general loop."""

    block: Any


class _Fused(_Unit):
    """Of `gemm.fused_dot_add`."""


class _Exact(_Unit):
    """Of `mfma.exact_dot_add`."""


class _Pairs(_Unit):
    """Of `mfma.pairwise_dot_add`."""


class _TwoStage(_Unit):
    """Of `mfma.two_stage_dot_add`."""


_UNITS: dict[type, type[_Unit]] = {
    FusedDotAdd: _Fused,
    ExactDotAdd: _Exact,
    PairwiseDotAdd: _Pairs,
    TwoStageDotAdd: _TwoStage,
}


def _add(unit: Any, x: Any, y: Any, each: Any, where: Any, scratch: Any) -> Any:
    """Let the loop of a unit add a block to every sum: one matrix pair, (1, K) @ (K, 1), for each."""
    raise NotImplementedError("for compiled loops only")


@scalar
def _add_fused(unit, x, y, each, where, scratch):
    gemm.fused_dot_add(x, y, each, each, *where, 0, each.size, scratch, unit.block)


@scalar
def _add_exact(unit, x, y, each, where, scratch):
    mfma.exact_dot_add(x, y, each, each, *where, 0, each.size, scratch, unit.block)


@scalar
def _add_pairs(unit, x, y, each, where, scratch):
    mfma.pairwise_dot_add(x, y, each, each, *where, 0, each.size, scratch, unit.block)


@scalar
def _add_two_stage(unit, x, y, each, where, scratch):
    mfma.two_stage_dot_add(x, y, each, each, *where, 0, each.size, scratch, unit.block)


choose_by_type(_add, {_Fused: _add_fused, _Exact: _add_exact, _Pairs: _add_pairs, _TwoStage: _add_two_stage})


@kernel
def _blocks(unit, x, y, d, before, each, flags, to, control, seed, index, number, scratch, counts):
    """Let the unit's own loop add block after block, looking at the sums between them."""
    for block in range(x.shape[0]):
        for i in range(d.size):
            before[i] = d[i]
        _add(unit, x[block], y[block], each, (each, d, flags, to, control, seed, index, number + block), scratch)
        for i in range(d.size):
            something = False
            for k in range(x.shape[3]):
                something |= x[block, i, 0, k] & _MAGNITUDE != 0 and y[block, i, k, 0] & _MAGNITUDE != 0
            if something and before[i] & to.infinity != to.infinity:
                counts[1] += 1
                counts[0] += before[i] == d[i]


def swallowed32(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any]) -> tuple[int, int]:
    """Return the same of n binary32 sums of `halfsim.kernels.gemm32`: (swallowed, counted).

    Parameters
    ----------
    a, b : float32 array, shape (n, K)
        Factors.
    c : float32 array, shape (n,)
        Addends.
    """
    counts = np.zeros(2, np.int64)
    _lanes32(*_columns(a, b), c.copy(), counts)
    return int(counts[0]), int(counts[1])


def _columns(a: NDArray[Any], b: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the factors of all sums side by side, term after term: sums are the lanes of vectors."""
    return np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)


@kernel
def _lanes32(x, y, totals, counts):
    swallowed, counted = np.zeros(totals.size, np.int32), np.zeros(totals.size, np.int32)
    zero = np.float32(0.0)
    for k in range(x.shape[0]):
        left, right = x[k], y[k]
        for i in range(totals.size):
            before, term = totals[i], left[i] * right[i]
            after = before + term
            totals[i] = after
            # Zero times infinity adds nothing either.
            due = (left[i] != zero) & (right[i] != zero) & (term != zero) & (before - before == zero)
            counted[i] += np.int32(due)
            swallowed[i] += np.int32(due & (after == before))
    counts[0] += swallowed.sum()
    counts[1] += counted.sum()


@kernel
def _lanes16(x, y, totals, control, fused, counts):
    """Do the same of binary16 sums with a deterministic rounding, as `halfsim.kernels.simd` rounds."""
    rule = make_rule(control)
    swallowed, counted = np.zeros(totals.size, np.int32), np.zeros(totals.size, np.int32)
    for k in range(x.shape[0]):
        left, right = x[k], y[k]
        for i in range(totals.size):
            p, q, before = np.int32(left[i]), np.int32(right[i]), totals[i]
            term = decode(p, rule) * decode(q, rule)
            if not fused:
                term = decode(rounded(bits_of(term), rule, np.int32(0))[0], rule)
            after, _, _ = rounded(sum_to_odd(term, decode(before, rule), rule), rule, np.int32(0))
            totals[i] = after
            due = (p & _MAGNITUDE != 0) & (q & _MAGNITUDE != 0) & (before & 0x7C00 != 0x7C00)
            counted[i] += np.int32(due)
            swallowed[i] += np.int32(due & (after == before))
    counts[0] += swallowed.sum()
    counts[1] += counted.sum()
