"""The rows of operations that round nothing or one operand, and of conversions between other types."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import halfsim as hs
from halfsim.benchmarks.elementwise import case, operands
from halfsim.benchmarks.rows import OURS, Case, Contender, Row, Sizes

__all__ = ["OTHERS"]

# NumPy's function, and what it does otherwise: no remark means that answers are compared.
_PEERS: dict[str, tuple[Callable[..., Any], str]] = {
    "less": (np.less, ""),
    "isnan": (np.isnan, ""),
    "minimum": (np.minimum, "gives either of two zeros"),
    "maximum_number": (np.fmax, "gives either of two zeros"),
    "copysign": (np.copysign, ""),
    "negative": (np.negative, ""),
    "round_to_integral": (np.rint, ""),
    "scaleb": (np.ldexp, ""),
    "remainder": (np.remainder, "another remainder"),
}
_UNARY = ("isnan", "negative", "round_to_integral", "logb", "nextup")
_SMALL = 8


def _operation(name: str, small: bool, sizes: Sizes) -> Case:
    columns: list[Any] = operands("sqrt" if name in _UNARY else "add", 100 if small else sizes.elements)
    if small:
        columns = [column[-_SMALL:] for column in columns]
    if name == "scaleb":
        columns[1] = np.random.default_rng(1).integers(-9, 9, columns[0].size).astype(np.int32)
    size = columns[0].size
    out = np.empty(size, np.bool_ if name in ("less", "isnan") else np.float16)
    theirs, function = np.empty_like(out), getattr(hs, name)
    peers = []
    if name in _PEERS:
        peer, note = _PEERS[name]
        call = partial(peer, *columns) if small else partial(peer, *columns, out=theirs)
        answer = None if note else lambda made: made
        peers.append(Contender("numpy", call, size, answer=answer, note=note))
    ours = (lambda: function(*columns)) if small else (lambda: function(*columns, out=out))
    return case(columns, ours, peers, out.itemsize)


def _conversion(source: str, target: Any, keywords: dict[str, Any], sizes: Sizes) -> Case:
    rng = np.random.default_rng(sizes.elements)
    if source == "int64":
        x: Any = rng.integers(-(10**5), 10**5, sizes.elements)
    else:
        x = (4 * rng.standard_normal(sizes.elements)).astype(source)
    made = hs.convert(x, target, **keywords)
    theirs = np.empty_like(made)
    # NumPy has these types, and rounds to nearest or, to integers, toward zero.
    rounding = "rtz" if target is np.int32 else "rne"
    same = target in (hs.BINARY16, hs.BINARY32, np.int32) and keywords.get("rounding", "rne") == rounding
    answer = (lambda _: theirs) if same else None
    call = lambda: np.copyto(theirs, x, casting="unsafe")  # noqa: E731
    numpy = Contender("numpy", call, x.size, answer=answer, note="" if same else "rounds to nearest")
    ours = partial(hs.convert, x, target, **keywords, out=np.empty_like(made))
    return case([x], ours, [numpy], made.itemsize)


def _verification(sizes: Sizes) -> Case:
    """A block of the verification of all pairs of operands, by an independent witness."""
    from halfsim.testvectors.exhaustive import jobs
    from halfsim.testvectors.exhaustive.jobs import check

    (job,) = jobs("multiply", "rup", "after")
    pairs = 1 << 20
    columns = operands("multiply", pairs)
    numpy = Contender("numpy", lambda: np.multiply(*columns), pairs, note="computes, checks nothing")
    made = case(columns, lambda: check(job, 1021), [numpy], 3)
    ours = Contender(OURS, made.ours.call, pairs, made.ours.bytes, answer=lambda block: np.array(block.wrong))
    return Case(ours, made.peers, made.operands, made.roof, by_bytes=True)


def _rows() -> list[Row]:
    rows = [
        Row(
            "other operations",
            name,
            "elements",
            partial(_operation, name, False),
            {"np.copyto float16": (0.5, 0.65)} if name == "round_to_integral" else {},
        )
        for name in (*_PEERS, "logb", "nextup")
    ]
    rows.append(
        Row(
            "call",
            f"isnan of {_SMALL} elements",
            "elements",
            partial(_operation, "isnan", True),
            {"numpy": (0.1, 0.25)},
        )
    )
    for source, target, words, keywords in (
        ("float32", hs.TF32, "float32 to TF32", {}),
        ("float64", hs.BINARY32, "float64 to binary32", {}),
        ("float64", hs.BINARY16, "float64 to binary16, 32 random bits", {"rounding": hs.Stochastic(bits=32, seed=1)}),
        ("int64", hs.BINARY16, "int64 to binary16", {}),
        ("float16", np.int32, "binary16 to int32, toward zero", {"rounding": "rtz"}),
        ("float16", hs.E4M3, "binary16 to E4M3", {}),
    ):
        rows.append(Row("other conversions", words, "elements", partial(_conversion, source, target, keywords)))
    for mode in ("rne", "rna", "rtz", "rup", "rdn", "odd"):
        make = partial(_conversion, "float64", hs.BINARY16, {"rounding": mode})
        words = f"float64 to binary16, {mode}"
        rows.append(Row("other conversions", words, "elements", make, {"numpy": (3.0, 5.0)}))
    return [*rows, Row("verification", "all pairs of multiply, upward, with flags", "elements", _verification)]


OTHERS = tuple(_rows())
"""Rows of everything else on elements."""
