"""Which loop computes a matrix product: one row per accumulator, with a vectorised loop where one is proved equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from halfsim._state import default_state
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
from halfsim.core.control import STOCHASTIC, control_word, gradual
from halfsim.core.dot import LIMBS
from halfsim.core.fields import layout
from halfsim.environment import CUDA, Environment, NaNRule
from halfsim.formats import BINARY16, BINARY32, Format
from halfsim.kernels import fused, gemm, host, mfma, pairwise, recurrences, specials, units
from halfsim.kernels.storage import Operands, Storage, as_patterns, as_words, storage
from halfsim.kernels.threads import run_blocks
from halfsim.mfma import ExactDotAdd, PairwiseDotAdd, TwoStageDotAdd
from halfsim.rounding import Stochastic, as_rounding

__all__ = ["Operands", "Plan", "compute_fast", "convert_each", "evaluate", "evaluate_general", "first_step", "plan"]

# Multiply-adds worth a thread: about 0.2 ms of a vectorised loop, of a general one.
_FAST_WORK, _GENERAL_WORK = 1 << 19, 1 << 13
# Multiply-adds that the general loop does in 50 ms, less than a compilation takes, and elements it holds at a time.
_FIRST_WORK, _PIECE = 1 << 20, 1 << 15
_WORDS: dict[Format, np.dtype[Any]] = {BINARY16: np.dtype(np.uint16), BINARY32: np.dtype(np.uint32)}


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
    scratch: Callable[[int], int]
    """Integers that the general loop needs as scratch memory, for so many terms."""
    extra: tuple[Any, ...]
    """Last arguments of the general loop."""
    exact_addend: bool
    """Whether C enters in its own format, unrounded."""
    has_flags: bool
    fast: Callable[..., NDArray[np.uint8] | None] | None
    fast_extra: tuple[Any, ...]
    leaves: bool
    """Whether the vectorised loop leaves elements for the general one, and returns their marks."""
    factors: tuple[Format, Format]


@lru_cache(maxsize=256)
@default_state()
def plan(accumulator: Accumulator) -> Plan:
    """Return the loops of an accumulator."""
    rounding = as_rounding(accumulator.rounding)
    fmt = accumulator.output if isinstance(accumulator, MatrixUnit) else accumulator.format
    control = control_word(rounding, _environment(accumulator))
    seed, offset = 0, 0
    if isinstance(rounding, Stochastic):
        seed, offset = rounding.seed - (rounding.seed >> 63 << 64), rounding.offset
    fast = (None, ()) if numba.config.DISABLE_JIT else _fast(accumulator, control, (seed, offset))
    exact_addend, leaves = isinstance(accumulator, Exact), fast[0] is fused.fused
    return Plan(
        fmt, storage(fmt), control, seed, offset, *_general(accumulator), exact_addend,
        not isinstance(accumulator, MatrixUnit), *fast, leaves, factor_formats(accumulator),
    )  # fmt: skip


def _environment(accumulator: Accumulator) -> Environment:
    match accumulator:
        case FusedDotAdd():
            return CUDA
        case Sequential(flush_to_zero=True) | Pairwise(flush_to_zero=True) | Compensated(flush_to_zero=True):
            return Environment(flush_inputs=True, flush_results=True)
        case PairwiseDotAdd(environment=environment):
            return replace(environment, nan=NaNRule(default=environment.nan.default))
        case _:
            return Environment()


def _general(accumulator: Accumulator) -> tuple[Callable[..., None], Callable[[int], int], tuple[Any, ...]]:
    """Return (loop, its scratch memory, its last arguments)."""
    left, right = map(layout, factor_formats(accumulator))
    match accumulator:
        case Sequential():
            return gemm.sequential_fused if accumulator.fused else gemm.sequential, lambda _: 0, ()
        case Pairwise():
            return gemm.pairwise, lambda terms: terms, ()
        case Compensated():
            return gemm.compensated, lambda _: 0, ()
        case Exact():
            return gemm.exact, lambda _: LIMBS, ()
        case FusedDotAdd(terms=length):
            cut = control_word(as_rounding(accumulator.align), CUDA)
            row = (length, accumulator.fraction_bits, accumulator.zero_exponent, cut, left, right)
            return gemm.fused_dot_add, lambda terms: 3 * min(length, terms), (row,)
        case ExactDotAdd():
            size, bottom = mfma.limbs(left, right, layout(accumulator.output))
            return mfma.exact_dot_add, lambda _: size, ((accumulator.terms, bottom, left, right),)
        case PairwiseDotAdd(terms=length):
            return mfma.pairwise_dot_add, lambda _: length, ((length, accumulator.depth, left, right),)
        case TwoStageDotAdd(terms=length):
            cuts = (control_word(as_rounding(cut), Environment()) for cut in (accumulator.align, accumulator.join))
            bits = accumulator.term_bits, accumulator.product_bits, accumulator.addend_bits, accumulator.total_bits
            block = (length, *bits, *cuts, left, right)
            return mfma.two_stage_dot_add, lambda terms: 3 * min(length, terms), (block,)


def _fast(
    accumulator: Accumulator, control: int, counters: tuple[int, int]
) -> tuple[Callable[..., NDArray[np.uint8] | None] | None, tuple[Any, ...]]:
    """Return the vectorised loop that accepts an accumulator, or None, and its last arguments.

    Seed and offset are arguments of loops that draw; what follows those returned says `_fast_operands`.
    """
    match accumulator:
        case FusedDotAdd() | ExactDotAdd() | TwoStageDotAdd():
            block = units.block(accumulator)
            if block is not None:
                return fused.fused, (block,)
        case PairwiseDotAdd():
            numbers = pairwise.known(accumulator, control)
            if numbers is not None:
                return pairwise.binary32, numbers
        case Sequential() | Pairwise() | Compensated() | Exact():
            return recurrences.fast(accumulator, control, counters)
    return None, ()


def evaluate(
    chosen: Plan, operands: Operands, c: NDArray[Any] | None, flagged: bool, panels: fused.Panels | None = None
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return (values, flags) of a product, flat or (products * M, N).

    `c`, float16 or float32, contiguous and of the result's size, may be overwritten. Flags are meaningless unless asked
    for. `panels` are those that `halfsim.kernels.fused.decoded` has made of the only matrix B.
    """
    rows, columns = operands.batch_a.size * operands.a.shape[1], operands.b.shape[2]
    terms = operands.a.shape[2]
    if (
        chosen.fast is not None
        and not flagged
        and terms
        and rows * columns
        and (panels is not None or not _first_and_special(chosen, as_words(operands, chosen.factors)))
    ):
        d, last = _fast_operands(chosen, c, (rows, columns))
        compute_fast(chosen, operands, d, last if panels is None else (panels,))
        return d.view(chosen.storage.values), np.empty(0, np.uint8)
    size, operands = rows * columns, as_patterns(operands, chosen.factors)
    d, flags = np.empty(size, chosen.storage.patterns), np.empty(size, np.uint8)
    for start in range(0, size, _PIECE):
        elements, part = np.arange(start, min(start + _PIECE, size)), slice(start, start + _PIECE)
        addend = None if c is None else c.reshape(-1)[part]
        d[part], flags[part] = evaluate_general(host, chosen, operands, addend, elements)
    return d.view(chosen.storage.values), flags


def evaluate_general(place: Any, chosen: Plan, operands: Operands, c: Any, elements: Any) -> tuple[Any, Any]:
    """Return (patterns, flags) of the listed elements of a product, computed on the core alone.

    `place` is `halfsim.kernels.host` or `halfsim.kernels.cuda`, where the arrays lie; `c` is flat, of as many elements.
    """
    size, source = elements.size, _source(chosen, c)
    d = place.filled(size, 0, np.int64) if c is None else place.cast(place.view(c, _WORDS[source]), np.int64)
    if operands.a.shape[2]:
        flags = _compute_general(place, chosen, operands, elements, d, source)
    else:
        flags = convert_each(place, chosen, d, source, chosen.format, elements)
    if chosen.storage.format != chosen.format:
        convert_each(place, chosen, d, chosen.format, chosen.storage.format, elements)
    return place.cast(d, chosen.storage.patterns), flags


def _source(chosen: Plan, c: Any) -> Format:
    """Return the format that C is read in."""
    if c is None:
        return BINARY16 if chosen.exact_addend else chosen.format
    return BINARY16 if c.dtype == np.float16 else BINARY32


def first_step(chosen: Plan, source: Format) -> int:
    """Return the number of the first rounding of the sum: rounding C, where its format asks for that, is number 0."""
    return 0 if chosen.exact_addend or chosen.format.contains(source) else 1


def _first_and_special(chosen: Plan, operands: Operands) -> bool:
    """Whether a small product would load the vectorised loop only to leave its infinities and NaNs to the general one.

    Compiling both takes longer than a first call should; the bits are the same.
    """
    if not chosen.leaves or fused.compiled():
        return False
    work = operands.batch_a.size * operands.a.shape[1] * operands.a.shape[2] * operands.b.shape[2]
    factors = zip((operands.a, operands.b), chosen.fast_extra[0][:2], strict=True)
    return work <= _FIRST_WORK and any(bool(((x & form.mask) > form.largest).any()) for x, form in factors)


def _fast_operands(
    chosen: Plan, c: NDArray[Any] | None, shape: tuple[int, int]
) -> tuple[NDArray[Any], tuple[Any, ...]]:
    """Return the array for the result, which holds C, and the last arguments of the vectorised loop."""
    source = _source(chosen, c)
    if chosen.exact_addend:
        addend = np.zeros((1, 1), np.uint16) if c is None else c.reshape(shape).view(_WORDS[source])
        return np.empty(shape, chosen.storage.patterns), (addend, layout(source))
    d = _patterns(chosen, c, shape[0] * shape[1]).reshape(shape)
    return d, (first_step(chosen, source),) if chosen.control & 7 == STOCHASTIC else ()


def _patterns(chosen: Plan, c: NDArray[Any] | None, size: int) -> NDArray[Any]:
    """Return C as patterns of the result's format, which is binary16 or binary32."""
    if c is None:
        return np.zeros(size, chosen.storage.patterns)
    if c.dtype == chosen.storage.values:
        return c.reshape(-1).view(chosen.storage.patterns)
    if chosen.storage.format == BINARY32:
        return c.reshape(-1).astype(np.float32).view(np.uint32)
    d = c.reshape(-1).view(np.uint32).astype(np.int64)
    convert_each(host, chosen, d, BINARY32, BINARY16, host.indices(size))
    return d.astype(np.uint16)


def convert_each(place: Any, chosen: Plan, d: Any, source: Format, target: Format, elements: Any) -> Any:
    """Round patterns, one per element, to another format in place, as rounding 0: return the flags."""
    flags = place.filled(d.size, 0, np.uint8)
    fields, to = layout(source), layout(target)
    # A unit that flushes C does so when it reads it, in the unit's format.
    before = (elements, d, flags, fields, to, gradual(chosen.control), chosen.seed, chosen.offset)
    place.spans(gemm.convert_addend, before, d.size, _GENERAL_WORK)
    return flags


def _compute_general(place: Any, chosen: Plan, operands: Operands, elements: Any, d: Any, source: Format) -> Any:
    """Compute the listed elements on the core: return the flags.

    `d` holds the patterns of C in the format `source`, one per listed element, and receives the results.
    """
    extra, step, to = chosen.extra, first_step(chosen, source), layout(chosen.format)
    if chosen.exact_addend:
        extra = (layout(source),)
    if chosen.exact_addend or source == chosen.format:
        flags = place.filled(d.size, 0, np.uint8)
    else:
        flags = convert_each(place, chosen, d, source, chosen.format, elements)
    before = (*operands, elements, d, flags, to, chosen.control, chosen.seed, chosen.offset, step)
    terms = operands.a.shape[2]
    place.spans(chosen.general, before, d.size, max(1, _GENERAL_WORK // terms), chosen.scratch(terms), extra)
    return flags


def compute_fast(chosen: Plan, operands: Operands, d: NDArray[Any], last: tuple[Any, ...]) -> None:
    """Compute a product with the plan's vectorised loop; `d` (products * M, N) holds C and receives the result."""
    fast, words = chosen.fast, as_words(operands, chosen.factors)
    assert fast is not None
    extra = (*chosen.fast_extra, *last)
    minimum = max(1, _FAST_WORK // (operands.a.shape[2] * d.shape[1]))

    def block(start: int, stop: int) -> None:
        left = fast(*words, d, start, stop, *extra)
        if left is not None:
            _compute_left(chosen, operands, d, start, stop, left)

    run_blocks(block, d.shape[0], minimum)


def _compute_left(
    chosen: Plan, operands: Operands, d: NDArray[Any], start: int, stop: int, left: NDArray[np.uint8]
) -> None:
    """Compute the elements that `halfsim.kernels.fused` has left of some rows; `d` holds their C."""
    fields, words = layout(chosen.storage.format), as_words(operands, chosen.factors)
    settings = (*chosen.fast_extra, fields.infinity, fields.sign_bit, chosen.format == BINARY16, left)
    specials.resolve(*words, d, start, stop, *settings)
    elements = np.flatnonzero(left) + start * d.shape[1]
    if elements.size:
        operands, flat = as_patterns(operands, chosen.factors), d.reshape(-1)
        again = flat[elements].astype(np.int64)
        _compute_general(host, chosen, operands, elements, again, chosen.storage.format)
        if chosen.storage.format != chosen.format:
            convert_each(host, chosen, again, chosen.format, chosen.storage.format, elements)
        flat[elements] = again
