"""`explain`: every step of one elementwise operation or conversion on one set of operands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from halfsim import operations, predicates
from halfsim.arrays import as_patterns, plain_array
from halfsim.checks import near
from halfsim.conversion import Conversion, integer_dtype, source_words
from halfsim.core.compare import Class
from halfsim.core.fields import layout
from halfsim.environment import IEEE, Environment
from halfsim.explanation.parts import Part
from halfsim.explanation.steps import Decision, Exact, Tiny, decision, exact, rounding_site, scaled, tiny
from halfsim.explanation.text import elementwise_parts
from halfsim.explanation.values import Datum, Printed, datum, dyadic, whole
from halfsim.explanation.watch import Call, watch
from halfsim.explanation.words import flag_reasons, outcome
from halfsim.flags import Flags
from halfsim.formats import BINARY16, Format
from halfsim.kernels import elementwise as loops
from halfsim.operation import Operation
from halfsim.options import rounding_control
from halfsim.rounding import Rounding, RoundingLike, Stochastic, as_rounding

__all__ = ["Explanation", "explain", "operation_names", "operation_rows"]

_NAMES = ("a", "b", "c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation(Printed):
    """Every step of one operation; printable, and serialisable with `to_dict`, `to_json` and `to_markdown`.

    Parameters
    ----------
    operation, ieee : str
        Public name and the standard's.
    operands : tuple of Datum
        The operands, field by field.
    rounding : Rounding or Stochastic
        Rounding direction.
    environment : Environment
        The row that decides tininess, NaNs and flushing.
    exact : Exact or None
        The value before rounding; None where nothing is rounded.
    decision : Decision or None
        Last place, kept significand, guard, rest and sticky bits, and why it went up or down; None where nothing was
        rounded, or the result was flushed.
    tiny : Tiny or None
        Both tininess facts; None where the rounder was not asked.
    overflow, flushed : bool
        Whether the result overflowed, or was flushed to zero.
    result : Datum
        The result, field by field.
    flags : Flags
        Exceptions raised.
    outcome : str
        Which case of the operation applies, in words.
    flag_reasons : tuple of str
        Why each flag is raised.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> steps = hs.explain(hs.multiply, np.float16(300), np.float16(300))
    >>> steps.exact.decimal, steps.overflow, steps.result.decimal
    ('90000', True, 'inf')
    """

    operation: str
    ieee: str
    operands: tuple[Datum, ...]
    rounding: Rounding | Stochastic
    environment: Environment
    exact: Exact | None
    decision: Decision | None
    tiny: Tiny | None
    overflow: bool
    flushed: bool
    result: Datum
    flags: Flags
    outcome: str
    flag_reasons: tuple[str, ...]

    def parts(self, everything: bool = False) -> Iterable[Part]:
        """Return headings, facts and tables, in order.

        Parameters
        ----------
        everything : bool
            Whether to give all rows of long tables.
        """
        return elementwise_parts(self)


@dataclass(frozen=True, slots=True)
class _Job:
    """One run of a general loop over one element."""

    name: str
    ieee: str
    kernel: Callable[..., None]
    words: tuple[int, ...]
    formats: tuple[Format | str, ...]
    result: Format | np.dtype[Any]
    extra: tuple[Any, ...]


def operation_names() -> tuple[str, ...]:
    """Names that `explain` knows."""
    return (*operation_rows(), "convert")


def operation_rows() -> dict[str, Operation]:
    """Rows of all elementwise operations, by name."""
    rows = {**vars(operations), **vars(predicates)}
    return {name: row for name, row in rows.items() if isinstance(row, Operation) and name == row.name}


def explain(
    op: Operation | Conversion | str,
    *operands: Any,
    rounding: RoundingLike = "rne",
    environment: Environment = IEEE,
    **options: bool,
) -> Explanation:
    """Show every step of one operation: fields, exact value, discarded bits, decision, flags.

    The core itself is run, in plain Python, and watched; nothing is computed a second way.

    Parameters
    ----------
    op : operation or str
        An operation of halfsim, such as `halfsim.fma` or ``"fma"``; for ``"convert"`` the operands are the number and
        the target.
    *operands : float16 scalars
        As the operation takes them; one element each.
    rounding : Rounding, Stochastic or str
        Rounding direction, by default ``"rne"``.
    environment : Environment
        By default `IEEE`.
    **options : bool
        Further keywords of the operation, such as ``exact=True``.

    Returns
    -------
    Explanation
        The record; ``print`` it, or call ``to_dict()`` or ``to_json()``.

    Raises
    ------
    TypeError, ValueError
        For an unknown operation, wrong operands or more than one element, and as the operation itself.

    Examples
    --------
    >>> import numpy as np, halfsim as hs
    >>> steps = hs.explain("add", np.float16(1), np.float16(2**-11))
    >>> steps.decision.guard, steps.decision.rest, steps.flags
    (1, 0, <Flags.inexact: 1>)
    >>> print(steps.decision.reason)
    roundTiesToEven: exactly half an ulp, a tie, and the last kept bit is 0: down, toward zero
    """
    job, known = _job(op, operands)
    for option in options:
        if option not in known:
            listed = ", ".join(("rounding", "environment", *known))
            raise TypeError(f"explain: {job.name} has no keyword {option!r}; known are {listed}")
    control, seed, index = rounding_control("explain", rounding, environment, **options)
    words = [np.array([word], np.int64) for word in job.words]
    # Loops that deliver integers of any type deliver them as int64.
    dtype = np.dtype(np.int64) if isinstance(job.result, Format) or job.result.kind in "iu" else job.result
    z, flag_word = np.zeros(1, dtype), np.zeros(1, np.uint8)
    call = watch(job.kernel, *words, z, flag_word, control, seed, index, *job.extra)
    site = rounding_site(call)
    shown = _operands(job, call)
    flags = Flags(int(flag_word[0]))
    value = None if site is None else _exact(job, call, site)
    return Explanation(
        operation=job.name,
        ieee=job.ieee,
        operands=shown,
        rounding=as_rounding(rounding, "explain"),
        environment=environment,
        exact=value,
        decision=None if site is None or value is None else decision(site, value),
        tiny=None if site is None else tiny(site),
        overflow=bool(site and site.direct("overflow_result")),
        flushed=bool(site and site.name == "round_pack" and site.direct("zero")),
        result=_result(job, z[0]),
        flags=flags,
        outcome=outcome(job.name, call, site, shown, flags),
        flag_reasons=flag_reasons(job.name, flags, shown),
    )


def _job(op: Operation | Conversion | str, operands: tuple[Any, ...]) -> tuple[_Job, tuple[str, ...]]:
    """Resolve the operation and its operands: the loop to run, and the further keywords it knows."""
    if isinstance(op, Conversion) or (isinstance(op, str) and op == "convert"):
        return _conversion(operands), ("exact", "saturate")
    table = operation_rows()
    row = table.get(op) if isinstance(op, str) else op
    if not isinstance(row, Operation):
        given = type(op).__name__ if hasattr(op, "__array__") else op
        raise (ValueError if isinstance(op, str) else TypeError)(
            f"explain: unknown operation {given!r}; {near(str(given), (*table, 'convert'))}; a sum of products is of "
            "halfsim.explain_dot"
        )
    if len(operands) != row.arity:
        raise TypeError(f"explain: {row.name} takes {row.arity} operand(s), got {len(operands)}")
    words, formats = [], []
    for i, value in enumerate(operands):
        read = _integer if i == row.integers else as_patterns
        array = read("explain", _NAMES[i], value)
        if array.size != 1:
            raise ValueError(f"explain: operand {_NAMES[i]} has shape {array.shape}; pass one element")
        words.append(int(array.reshape(())[()]))
        formats.append("int64" if i == row.integers else BINARY16)
    result = BINARY16 if row.dtype == np.float16 else row.dtype
    return _Job(row.name, row.ieee, row.kernel, tuple(words), tuple(formats), result, row.extra), row.options


def _integer(name: str, operand: str, value: Any) -> NDArray[Any]:
    array = plain_array(name, operand, value)
    if array.dtype.kind not in "iu" or (array.dtype.kind == "u" and array.dtype.itemsize == 8):
        raise TypeError(
            f"{name}: operand {operand} has dtype {array.dtype}; pass a signed integer of at most 64 bits (an exponent)"
        )
    return array


def _conversion(operands: tuple[Any, ...]) -> _Job:
    if len(operands) != 2:
        raise TypeError(
            f"explain: convert takes a number and a target without a name, as in explain('convert', x, halfsim.E4M3); "
            f"got {len(operands)} operand(s)"
        )
    words, source = source_words(operands[0])
    unsigned = source is None and np.asarray(operands[0]).dtype.kind == "u"
    target = operands[1] if isinstance(operands[1], Format) else integer_dtype(operands[1])
    if words.size != 1:
        raise ValueError(f"explain: operand a has shape {words.shape}; pass one element")
    word = (int(words.reshape(())[()]),)
    if source is None:
        if not isinstance(target, Format):
            raise TypeError("explain: convert from an integer to an integer rounds nothing; pass a halfsim.Format")
        extra: tuple[Any, ...] = (0 if unsigned else 1, layout(target))
        kind = "uint64" if unsigned else "int64"
        return _Job("convert", "convertFromInt", loops.from_integer, word, (kind,), target, extra)
    if isinstance(target, Format):
        extra = layout(source), layout(target)
        return _Job("convert", "convertFormat", loops.convert, word, (source,), target, extra)
    extra = layout(source), 8 * target.itemsize, int(target.kind == "i")
    return _Job("convert", "convertToInteger", loops.to_integer, word, (source,), target, extra)


def _operands(job: _Job, call: Call) -> tuple[Datum, ...]:
    """Operands field by field; one is flushed when the core read a zero where its pattern is none."""
    shown = []
    reads = call.find("read")
    for name, word, fmt in zip(_NAMES, job.words, job.formats, strict=False):
        if isinstance(fmt, str):
            shown.append(whole(name, word, fmt))
            continue
        flushed = any(
            read.arguments["bits"] == word and read.result[2] == 0 and read.calls[0].result[2] != 0 for read in reads
        )
        shown.append(datum(name, word, fmt, flushed=flushed))
    return tuple(shown)


def _exact(job: _Job, call: Call, site: Call) -> Exact:
    """Value before rounding; by definition where the core cuts: quotients and roots, and far powers of scaleb."""
    if job.name == "scaleb":
        sign, exponent, significand, _ = call.find("read")[0].result
        return scaled(sign, exponent + job.words[1], significand)
    if job.name == "divide":
        (s1, e1, m1, _), (s2, e2, m2, _) = (read.result for read in call.find("read"))
        return exact(site, dyadic(s1, e1, m1) / dyadic(s2, e2, m2))
    if job.name == "sqrt":
        return exact(site, None, irrational=site.arguments["tail"] != 0)
    return exact(site, None)


def _result(job: _Job, value: Any) -> Datum:
    if isinstance(job.result, Format):
        return datum("result", int(value), job.result)
    if job.result.kind == "b":
        return whole("result", int(value), "bool", text=str(bool(value)).lower())
    if job.name == "classify":
        return whole("result", int(value), "Class", text=Class(int(value)).name)
    return whole("result", int(value), job.result.name)
