"""Which loop computes a matrix product: one row per accumulator, with a vectorised loop where one is proved equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from halfsim.accumulators import (
    Accumulator,
    Compensated,
    Exact,
    FusedDotAdd,
    MatrixUnit,
    Pairwise,
    Sequential,
    factor_formats,
)
from halfsim.core.control import control_word, gradual
from halfsim.core.fields import F16, layout
from halfsim.environment import CUDA, DefaultNaN, Environment, NaNRule
from halfsim.formats import BINARY16, BINARY32, BINARY64, Format
from halfsim.kernels import fused, gemm, mfma, pairwise, sequential
from halfsim.kernels.threads import run_blocks
from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd
from halfsim.rounding import Rounding, Stochastic, as_rounding

__all__ = ["Operands", "Plan", "Storage", "evaluate", "plan"]

# Multiply-adds worth a thread: about 0.2 ms of a vectorised loop, of a general one.
_FAST_WORK = 1 << 19
_GENERAL_WORK = 1 << 13
# Multiply-adds that the general loop does in some 50 ms, less than a compilation takes.
_FIRST_WORK = 1 << 20


class Operands(NamedTuple):
    """Matrices of patterns, and which pair of them each product takes."""

    a: NDArray[Any]
    """(matrices, M, K), in the smaller of uint16 and uint32 that holds a pattern."""
    b: NDArray[Any]
    """(matrices, K, N)."""
    batch_a: NDArray[np.int64]
    batch_b: NDArray[np.int64]


class Storage(NamedTuple):
    """How results are stored: float16 for binary16, else the smaller of float32 and float64 that holds the format."""

    patterns: np.dtype[Any]
    values: np.dtype[Any]
    format: Format


class Plan(NamedTuple):
    """An accumulator as the loops need it."""

    format: Format
    """Format of the result."""
    storage: Storage
    control: int
    seed: int
    offset: int
    """Philox counter of the first element."""
    general: Callable[..., None]
    extra: tuple[Any, ...]
    """Last arguments of the general loop."""
    exact_addend: bool
    """Whether C enters in its own format, unrounded."""
    has_flags: bool
    fast: Callable[..., int | None] | None
    fast_extra: tuple[Any, ...]
    leaves: bool
    """Whether the vectorised loop leaves elements for the general one, marking them in a last argument."""


@lru_cache(maxsize=256)
def plan(accumulator: Accumulator) -> Plan:
    """Return the loops of an accumulator."""
    rounding = as_rounding(accumulator.rounding)
    matrix_unit = isinstance(accumulator, MatrixUnit)
    fmt = accumulator.output if isinstance(accumulator, MatrixUnit) else accumulator.format
    control = control_word(rounding, _environment(accumulator))
    seed, offset = 0, 0
    if isinstance(rounding, Stochastic):
        seed, offset = rounding.seed - (rounding.seed >> 63 << 64), rounding.offset
    general, extra = _general(accumulator)
    fast, fast_extra = (None, ()) if numba.config.DISABLE_JIT else _fast(accumulator, control)
    exact_addend = isinstance(accumulator, Exact)
    return Plan(
        fmt,
        _storage(fmt),
        control,
        seed,
        offset,
        general,
        extra,
        exact_addend,
        not matrix_unit,
        fast,
        fast_extra,
        isinstance(accumulator, FusedDotAdd),
    )


def _environment(accumulator: Accumulator) -> Environment:
    match accumulator:
        case FusedDotAdd():
            return CUDA
        case PairwiseDotAdd(environment=environment):
            return replace(environment, nan=NaNRule(default=environment.nan.default))
        case _:
            return Environment()


def _storage(fmt: Format) -> Storage:
    if fmt == BINARY16:
        return Storage(np.dtype(np.uint16), np.dtype(np.float16), BINARY16)
    if BINARY32.contains(fmt):
        return Storage(np.dtype(np.uint32), np.dtype(np.float32), BINARY32)
    return Storage(np.dtype(np.int64), np.dtype(np.float64), BINARY64)


def _general(accumulator: Accumulator) -> tuple[Callable[..., None], tuple[Any, ...]]:
    left, right = map(layout, factor_formats(accumulator))
    match accumulator:
        case Sequential():
            return gemm.sequential_fused if accumulator.fused else gemm.sequential, ()
        case Pairwise():
            return gemm.pairwise, ()
        case Compensated():
            return gemm.compensated, ()
        case Exact():
            return gemm.exact, ()
        case FusedDotAdd():
            cut = control_word(as_rounding(accumulator.align), CUDA)
            block = (accumulator.terms, accumulator.fraction_bits, accumulator.zero_exponent, cut)
            return gemm.fused_dot_add, ((*block, left, right),)
        case ExactDotAdd():
            size, bottom = mfma.limbs(left, right, layout(accumulator.output))
            return mfma.exact_dot_add, ((accumulator.terms, size, bottom, left, right),)
        case PairwiseDotAdd():
            return mfma.pairwise_dot_add, ((accumulator.terms, accumulator.depth, left, right),)
        case TwoStageDotAdd():
            cuts = (control_word(as_rounding(cut), Environment()) for cut in (accumulator.align, accumulator.join))
            bits = accumulator.term_bits, accumulator.product_bits, accumulator.addend_bits, accumulator.total_bits
            return mfma.two_stage_dot_add, ((accumulator.terms, *bits, *cuts, left, right),)


def _fast(accumulator: Accumulator, control: int) -> tuple[Callable[..., int | None] | None, tuple[Any, ...]]:
    """Return the vectorised loop that accepts an accumulator, or None."""
    halves = factor_formats(accumulator) == (BINARY16, BINARY16)
    match accumulator:
        case Sequential(format=fmt, rounding=Rounding.roundTiesToEven) if fmt == BINARY32:
            return sequential.binary32, (control,)
        case Sequential(format=fmt, rounding=Rounding()) if fmt == BINARY16:
            return sequential.binary16, (control, accumulator.fused)
        case FusedDotAdd(align=Rounding.roundTowardZero, output=fmt, rounding=rounding):
            narrow = fmt == BINARY16 and rounding == Rounding.roundTiesToEven
            wide = fmt == BINARY32 and rounding == Rounding.roundTowardZero
            if halves and (narrow or wide) and fused.fits(accumulator.terms, accumulator.fraction_bits):
                # Exponents below the smallest normal binary32 act as that one: no nonzero term lies lower.
                floor = 2.0 ** max(accumulator.zero_exponent, BINARY32.emin)
                return fused.fused, (accumulator.terms, accumulator.fraction_bits, floor, narrow, control)
        case PairwiseDotAdd(
            environment=Environment(flush_inputs=True, nan=NaNRule(default=DefaultNaN.positive)),
            output=fmt,
            rounding=Rounding.roundTiesToEven,
        ) if fmt == BINARY32 and accumulator.terms in pairwise.LENGTHS and halves:
            return pairwise.binary32, (control, accumulator.terms)
    return None, ()


def evaluate(
    chosen: Plan, operands: Operands, c: NDArray[Any] | None, flagged: bool
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return (values, flags) of a product, flat or (products * M, N).

    `c`, float16 or float32, contiguous and of the result's size, may be overwritten. Flags are meaningless unless asked
    for.
    """
    rows, columns = operands.batch_a.size * operands.a.shape[1], operands.b.shape[2]
    terms = operands.a.shape[2]
    if (
        chosen.fast is not None
        and not flagged
        and terms
        and rows * columns
        and not _first_and_special(chosen, operands)
    ):
        d = _patterns(chosen, c, rows * columns).reshape(rows, columns)
        _compute_fast(chosen, operands, d)
        return d.view(chosen.storage.values), np.empty(0, np.uint8)
    elements = np.arange(rows * columns, dtype=np.int64)
    source = chosen.format if c is None else BINARY16 if c.dtype == np.float16 else BINARY32
    if c is None and chosen.exact_addend:
        source = BINARY16
    addends = np.zeros(elements.size, np.int64) if c is None else _widened(c)
    if terms:
        d, flags = _compute_general(chosen, operands, elements, addends, source)
    else:
        d, flags = _convert(chosen, addends, source, chosen.format, elements)
    if chosen.storage.format != chosen.format:
        d, _ = _convert(chosen, d, chosen.format, chosen.storage.format, elements)
    return d.astype(chosen.storage.patterns).view(chosen.storage.values), flags


def _first_and_special(chosen: Plan, operands: Operands) -> bool:
    """Whether a small product would load the vectorised loop only to leave its infinities and NaNs to the general one.

    Compiling both takes longer than a first call should; the bits are the same.
    """
    if not chosen.leaves or getattr(chosen.fast, "overloads", True):
        return False
    work = operands.batch_a.size * operands.a.shape[1] * operands.a.shape[2] * operands.b.shape[2]
    special = F16.infinity
    return work <= _FIRST_WORK and any(bool(((x & special) == special).any()) for x in (operands.a, operands.b))


def _widened(c: NDArray[Any]) -> NDArray[np.int64]:
    """Return the patterns of C as int64."""
    return c.reshape(-1).view(np.uint16 if c.dtype == np.float16 else np.uint32).astype(np.int64)


def _patterns(chosen: Plan, c: NDArray[Any] | None, size: int) -> NDArray[Any]:
    """Return C as patterns of the result's format, which is binary16 or binary32."""
    if c is None:
        return np.zeros(size, chosen.storage.patterns)
    if c.dtype == chosen.storage.values:
        return c.reshape(-1).view(chosen.storage.patterns)
    if chosen.format == BINARY32:
        return c.reshape(-1).astype(np.float32).view(np.uint32)
    d, _ = _convert(chosen, _widened(c), BINARY32, BINARY16, np.arange(size, dtype=np.int64))
    return d.astype(np.uint16)


def _convert(
    chosen: Plan, d: NDArray[np.int64], source: Format, target: Format, elements: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Round patterns, one per element, to another format in place, as rounding 0: return (patterns, flags)."""
    flags = np.zeros(d.size, np.uint8)
    fields, to = layout(source), layout(target)
    # A unit that flushes C does so when it reads it, in the unit's format.
    gemm.convert_addend(elements, d, flags, fields, to, gradual(chosen.control), chosen.seed, chosen.offset, 0, d.size)
    return d, flags


def _compute_general(
    chosen: Plan, operands: Operands, elements: NDArray[np.int64], c: NDArray[np.int64], source: Format
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Compute the listed elements on the core: return (patterns, flags).

    `c` holds the patterns of C in the format `source`, one per listed element, and is overwritten.
    """
    flags = np.zeros(c.size, np.uint8)
    extra, step, to = chosen.extra, 0, layout(chosen.format)
    if chosen.exact_addend:
        extra = (layout(source),)
    elif source != chosen.format:
        c, flags = _convert(chosen, c, source, chosen.format, elements)
        step = 0 if chosen.format.contains(source) else 1

    def block(start: int, stop: int) -> None:
        chosen.general(
            *operands, elements, c, flags, to, chosen.control, chosen.seed, chosen.offset, step, start, stop, *extra
        )

    run_blocks(block, elements.size, max(1, _GENERAL_WORK // operands.a.shape[2]))
    return c, flags


def _compute_fast(chosen: Plan, operands: Operands, d: NDArray[Any]) -> None:
    """Compute a product with the plan's vectorised loop; `d` (products * M, N) holds C and receives the result."""
    fast = chosen.fast
    assert fast is not None
    rows = d.shape[0]
    minimum = max(1, _FAST_WORK // (operands.a.shape[2] * d.shape[1]))
    if not chosen.leaves:
        run_blocks(lambda start, stop: fast(*operands, d, start, stop, *chosen.fast_extra), rows, minimum)
        return
    left = np.empty(d.shape, np.bool_)
    counts: list[int | None] = []
    run_blocks(
        lambda start, stop: counts.append(fast(*operands, d, start, stop, *chosen.fast_extra, left)), rows, minimum
    )
    if any(counts):
        elements = np.flatnonzero(left)
        flat = d.reshape(-1)
        flat[elements] = _compute_general(chosen, operands, elements, flat[elements].astype(np.int64), chosen.format)[0]
