"""The rows of conversions and of elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.benchmarks import peers
from halfsim.benchmarks.rows import OURS, Case, Contender, Row, Sizes

__all__ = ["ELEMENTWISE", "case", "operands"]

_ARITY = {"convert": 1, "add": 2, "subtract": 2, "multiply": 2, "divide": 2, "sqrt": 1, "fma": 3}
_ROUNDINGS = {
    "rne": "to nearest",
    "rna": "to nearest, ties away",
    "rtz": "toward zero",
    "rup": "upward",
    "rdn": "downward",
    "odd": "to odd",
}
_SMALL, _CORNERS = 8, 256
_FLUSHING = hs.Environment(flush_inputs=True, flush_results=True)


def operands(name: str, size: int) -> list[NDArray[Any]]:
    """Normally distributed numbers, some of them so scaled that results overflow or are subnormal.

    One in a hundred is, and each of the first, which slow peers work on too;
    float32 for conversions, else binary16; positive for the square root. No NaN, no infinity.
    """
    rng = np.random.default_rng(size)
    columns: list[NDArray[Any]] = []
    for _ in range(_ARITY[name]):
        values = rng.standard_normal(size)
        some = rng.random(size) < 0.01
        some[:_CORNERS] = True
        values[some] *= np.exp2(rng.integers(-30 if name == "convert" else -22, 16, int(some.sum())))
        column = values.astype(np.float32) if name == "convert" else np.clip(values, -65504, 65504).astype(np.float16)
        columns.append(abs(column) if name == "sqrt" else column)
    return columns


def _numpy(name: str, columns: Sequence[NDArray[Any]], mode: str) -> Contender:
    """NumPy's binary16, which only rounds to nearest and has no fused multiply-add."""
    out = np.empty(columns[0].size, np.float16)
    calls: dict[str, Callable[[], Any]] = {
        "convert": lambda: np.copyto(out, columns[0], casting="unsafe"),
        "fma": lambda: np.add(np.multiply(columns[0], columns[1], out=out), columns[2], out=out),
    }
    call = calls.get(name) or partial(getattr(np, name, np.add), *columns, out=out)
    note = "rounds twice" if name == "fma" else "" if mode == "rne" else "rounds to nearest"
    return Contender("numpy", call, out.size, answer=None if note else lambda _: out, note=note)


def _copy(columns: Sequence[NDArray[Any]]) -> Contender:
    """Memory's speed: a copy of the first operand."""
    source, target = columns[0], np.empty_like(columns[0])
    name = f"np.copyto {source.dtype}"
    return Contender(name, lambda: np.copyto(target, source), source.size, 2 * source.nbytes, note="a copy")


def case(columns: Sequence[NDArray[Any]], call: Callable[[], Any], others: Sequence[Any], extra: int) -> Case:
    """Return the case of a call on columns: `extra` bytes of results per element; others that are None are missing."""
    size, copy = columns[0].size, _copy(columns)
    read = sum(column.nbytes for column in columns)
    ours = Contender(OURS, call, size, read + extra * size, answer=lambda made: made)
    present = [other for other in others if other is not None]
    return Case(ours, [copy, *present], read, copy.name, by_bytes=True)


def _arithmetic(name: str, mode: str, sizes: Sizes) -> Case:
    """An operation of values only, into an array that is there already."""
    columns = operands(name, sizes.elements)
    out = np.empty(sizes.elements, np.float16)
    function: Any = (
        partial(hs.convert, columns[0], hs.BINARY16) if name == "convert" else partial(getattr(hs, name), *columns)
    )
    others = [
        _numpy(name, columns, mode),
        peers.torch(name, columns) if mode == "rne" else None,
        peers.gfloat(name, columns, mode),
        peers.chopped(name, columns, mode),
        peers.apytypes(name, columns, mode),
        peers.softfloat(name, columns, mode),
    ]
    return case(columns, lambda: function(rounding=mode, out=out), others, 2)


def _flagged(name: str, mode: str, sizes: Sizes) -> Case:
    """An operation with the exception flags of every element; no peer on arrays has them."""
    columns = operands(name, sizes.elements)
    function = getattr(hs, name).flagged
    arguments = [*columns, hs.BINARY16] if name == "convert" else columns
    others = [_numpy(name, columns, mode), peers.softfloat(name, columns, mode)]
    out = np.empty(sizes.elements, np.float16)
    made = case(columns, lambda: function(*arguments, rounding=mode, out=out), others, 3)
    ours = Contender(OURS, made.ours.call, made.ours.work, made.ours.bytes, answer=lambda made: made.value)
    return Case(ours, made.peers, made.operands, made.roof, by_bytes=True)


def _flushing(name: str, sizes: Sizes) -> Case:
    """Subnormal operands and results are zeros."""
    columns, out = operands(name, sizes.elements), np.empty(sizes.elements, np.float16)
    call = partial(getattr(hs, name), *columns, environment=_FLUSHING, out=out)
    numpy = _numpy(name, columns, "rne")
    other = Contender("numpy", numpy.call, numpy.work, note="keeps subnormals")
    return case(columns, call, [other], 2)


def _stochastic(name: str, bits: int, sizes: Sizes) -> Case:
    """Random rounding; each library draws its own random numbers, so answers do not compare."""
    columns = operands(name, sizes.elements)
    rounding, out = hs.Stochastic(bits=bits, seed=1), np.empty(sizes.elements, np.float16)
    function: Any = (
        partial(hs.convert, columns[0], hs.BINARY16) if name == "convert" else partial(getattr(hs, name), *columns)
    )
    others = [_numpy(name, columns, "stochastic")]
    pychop = peers.installed("pychop")
    if pychop is not None:
        size = max(1, sizes.elements // 10)
        part, chop = [column[:size] for column in columns], pychop.Chop(5, 10, rmode=5)
        exact = partial(peers.numpy_exact, name, part, "stochastic")
        others.append(Contender("pychop", lambda: chop(exact()), size, note="random numbers of its own"))
    return case(columns, lambda: function(rounding=rounding, out=out), others, 2)


def _other_format(target: str, sizes: Sizes) -> Case:
    """Conversion of float32 to another format than binary16."""
    (column,) = operands("convert", sizes.elements)
    fmt = getattr(hs, target)
    others: list[Contender] = []
    ml_dtypes = peers.installed("ml_dtypes")
    if ml_dtypes is not None:
        kind = {"BFLOAT16": "bfloat16", "E5M2": "float8_e5m2", "E4M3": "float8_e4m3fn"}[target]
        dtype = getattr(ml_dtypes, kind)
        answer = lambda made: made.astype(np.float32)  # noqa: E731
        others.append(Contender("ml_dtypes", lambda: column.astype(dtype), column.size, answer=answer))
    return case([column], lambda: hs.convert(column, fmt), others, 4)


def _call(name: str, flagged: bool, size: int, _: Sizes) -> Case:
    """A call on so many elements that makes its result; on few, its cost is that of being called."""
    columns = [column[-size:] for column in operands(name, max(size, 100))]
    arguments = [*columns, hs.BINARY16] if name == "convert" else columns
    function: Any = getattr(hs, name).flagged if flagged else getattr(hs, name)
    theirs: Callable[[], Any] = (
        partial(columns[0].astype, np.float16) if name == "convert" else partial(getattr(np, name), *columns)
    )
    numpy = Contender("numpy", theirs, size, answer=lambda made: made)
    made = case(columns, lambda: function(*arguments), [numpy], 2)
    answer = (lambda made: made.value) if flagged else (lambda made: made)
    ours = Contender(OURS, made.ours.call, size, made.ours.bytes, answer=answer)
    return Case(ours, made.peers, made.operands, made.roof, by_bytes=True)


def _two_threads(sizes: Sizes) -> Case:
    """The same conversion on two threads and on one: what the second adds to the processor's work."""
    (column,) = operands("convert", sizes.elements)
    out = np.empty(sizes.elements, np.float16)

    def call(threads: int) -> Any:
        if hs.get_num_threads() != threads:
            hs.set_num_threads(threads)
        return hs.convert(column, hs.BINARY16, out=out)

    one = Contender("one thread", lambda: call(1), column.size, answer=lambda made: made)
    return case([column], lambda: call(2), [one], 2)


def _rows() -> list[Row]:
    numpy = {"divide": (8.0, 13.0), "sqrt": (8.0, 13.0), "fma": (15.0, 26.0), "subtract": (10.0, 16.0)}
    near, unit = {"numpy": (10.0, 16.0), "torch half": (0.9, 1.1)}, "elements"
    any_mode = {"add": (8.0, 12.0), "multiply": (12.0, 17.0)}
    flags = {"numpy": (3.0, 5.0), "softfloatpy": (60.0, 100.0)}
    rows = [
        Row(
            "convert",
            "float32 to binary16, to nearest",
            unit,
            partial(_arithmetic, "convert", "rne"),
            {"np.copyto float32": (0.9, 1.3), "numpy": (6.0, 10.0)},
        )
    ]
    others = [(mode, words) for mode, words in _ROUNDINGS.items() if mode != "rne"]
    for mode, words in others:
        make = partial(_arithmetic, "convert", mode)
        rows.append(Row("convert", f"float32 to binary16, {words}", unit, make, {"numpy": (4.0, 9.0)}))
    for target in ("BFLOAT16", "E5M2", "E4M3"):
        rows.append(Row("convert", f"float32 to {target}, to nearest", unit, partial(_other_format, target)))
    for bits in (32, 13):
        make, aims = partial(_stochastic, "convert", bits), {"numpy": (2.0, 3.0)} if bits == 32 else {}
        rows.append(Row("stochastic", f"float32 to binary16, {bits} random bits", unit, make, aims))
    for name in ("add", "multiply", "divide", "sqrt", "fma"):
        rows.append(Row("stochastic", f"{name}, 32 random bits", unit, partial(_stochastic, name, 32)))
        rows.append(Row("flushing", f"{name}, to nearest", unit, partial(_flushing, name)))
    for name in _ARITY:
        if name != "convert":
            aims = near if name in ("add", "multiply") else {"numpy": numpy[name]}
            rows.append(Row("arithmetic", f"{name}, to nearest", unit, partial(_arithmetic, name, "rne"), aims))
    for name in ("add", "multiply", "divide", "sqrt", "fma"):
        for mode, words in others:
            aims = {"numpy": any_mode[name]} if name in any_mode else {}
            rows.append(Row("modes", f"{name}, {words}", unit, partial(_arithmetic, name, mode), aims))
    for name in _ARITY:
        for mode in _ROUNDINGS:
            rows.append(Row("flags", f"{name}, {_ROUNDINGS[mode]}", unit, partial(_flagged, name, mode), flags))
    for name, flagged in (("add", False), ("add", True), ("convert", False)):
        words = f"{name}{' with flags' if flagged else ''} of {_SMALL} elements"
        rows.append(Row("call", words, unit, partial(_call, name, flagged, _SMALL), {"numpy": (0.1, 0.25)}))
    for name in ("add", "convert"):
        for size in (100, 1_000, 10_000, 100_000, 1_000_000):
            words = f"{'float32 to binary16' if name == 'convert' else name}, n = {size:,}"
            rows.append(Row("growth with n", words, unit, partial(_call, name, False, size)))
    aims = {"one thread": (1 / 1.10, 1 / 1.02)}
    return [*rows, Row("two threads", "float32 to binary16", unit, _two_threads, aims)]


ELEMENTWISE = tuple(_rows())
"""Rows of one operation on every element."""
