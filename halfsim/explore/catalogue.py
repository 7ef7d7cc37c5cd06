"""What the page offers: operations, roundings, environments, accumulators, and worked examples."""

from __future__ import annotations

from typing import Any

from halfsim._version import __version__
from halfsim.explanation.cases import CASES
from halfsim.explanation.elementwise import operation_rows
from halfsim.explore.dot import MOST_ROWS, MOST_TERMS
from halfsim.explore.fields import MOST_BYTES
from halfsim.explore.operation import ENVIRONMENTS
from halfsim.flags import Flags
from halfsim.operation import Operation
from halfsim.rounding import ALIASES
from halfsim.tensorcores import SUMS, TABLE

__all__ = ["EXAMPLES", "catalogue", "dot_examples"]

# What it shows, operation, operands, environment.
_EXAMPLES = (
    ("0.1 + 0.2: both are rounded before they are added", "add", ("0.1", "0.2"), "IEEE"),
    ("1 + 2^-11: a tie between 1 and the next number", "add", ("1", "0x1p-11"), "IEEE"),
    ("1 + a little more than 2^-11: the sticky bit breaks the tie", "add", ("1", "0x1.004p-11"), "IEEE"),
    ("2048 + 1: the ulp has grown to 2", "add", ("2048", "1"), "IEEE"),
    ("1 / 3: digits without end", "divide", ("1", "3"), "IEEE"),
    ("sqrt(2): irrational", "sqrt", ("2",), "IEEE"),
    ("fma keeps what a rounded product has lost", "fma", ("0x3c01", "0x3c01", "-0x1.004p0"), "IEEE"),
    ("65504 + 16: the first sum that overflows to nearest", "add", ("65504", "16"), "IEEE"),
    ("300 * 300: far beyond the largest number", "multiply", ("300", "300"), "IEEE"),
    ("half of the smallest subnormal: a tie with zero", "multiply", ("0x0001", "0.5"), "IEEE"),
    ("just below the smallest normal: no underflow after rounding", "multiply", ("0x03ff", "0x3c01"), "RISCV"),
    ("the same product: underflow before rounding", "multiply", ("0x03ff", "0x3c01"), "ARM"),
    ("a subnormal operand, flushed", "add", ("0x0001", "0x0400"), "FLUSHING"),
    ("1 - 1: the sign of zero depends on the rounding", "subtract", ("1", "1"), "IEEE"),
    ("1 / 0: an exact infinity", "divide", ("1", "0"), "IEEE"),
    ("inf - inf: invalid, and the NaN of x86 is negative", "subtract", ("inf", "inf"), "X86"),
    ("a signaling NaN: its payload passes on, quieted", "add", ("snan(0x123)", "1"), "IEEE"),
)
EXAMPLES: tuple[dict[str, Any], ...] = tuple(
    {
        "title": title,
        "asked": {
            "operation": operation,
            "operands": list(operands),
            "environment": environment,
            "bits": "8",
            "seed": "1",
        },
    }
    for title, operation, operands, environment in _EXAMPLES
)
"""Operations worth a look, each with the request that the page sends."""

# The first operations of the list; the others follow as they come.
_GROUPS = {"arithmetic": "fma", "numbers around": "nextdown", "minimum and maximum": "maxsh", "comparisons": "ordered"}
_ROWS = {
    "f32": ("v100:f32", "a100:f32", "h100:f32", "mi300x:f32", "fp32", "exact"),
    "f16": ("v100:f16", "a100:f16", "h100:f16", "fp16", "exact:f16"),
}


def dot_examples() -> tuple[dict[str, Any], ...]:
    """Dot products that tell tensor cores apart, each with the request that the page sends."""
    return tuple(
        {
            "title": f"{case.name}: {case.shows}",
            "asked": {
                "a": _typed(case.a),
                "b": _typed(case.b),
                "c": f"{case.c:#0{10 if case.output == 'f32' else 6}x}" if case.c else "",
                "rows": list(_ROWS[case.output]),
            },
        }
        for case in CASES.values()
    )


def _typed(patterns: tuple[int, ...]) -> str:
    return ", ".join(f"{bits:#06x}" if bits else "0" for bits in patterns)


def catalogue() -> dict[str, Any]:
    """Return everything that the page offers, of JSON's types."""
    return {
        "version": __version__,
        "operations": _operations(),
        "roundings": [{"name": mode.name, "alias": alias} for alias, mode in ALIASES.items()],
        "flags": [flag.name for flag in Flags],
        "environments": list(ENVIRONMENTS),
        "accumulators": _accumulators(),
        "limits": {"terms": str(MOST_TERMS), "rows": str(MOST_ROWS), "bytes": str(MOST_BYTES)},
        "examples": {"operation": list(EXAMPLES), "dot": list(dot_examples())},
    }


def _operations() -> list[dict[str, Any]]:
    groups, title, titles = [], "", iter((*_GROUPS, "classes, order and signs"))
    rest: list[dict[str, Any]] = []
    for row in operation_rows().values():
        if not rest:
            title = next(titles)
            groups.append({"title": title, "operations": rest})
        rest.append(_row(row))
        if row.name == _GROUPS.get(title):
            rest = []
    return groups


def _row(row: Operation) -> dict[str, Any]:
    return {"name": row.name, "ieee": row.ieee, "operands": ["a", "b", "c"][: row.arity]}


def _accumulators() -> list[dict[str, Any]]:
    """Names of accumulators of binary16 factors, by what they are."""
    groups = []
    for output, title in (("f32", "matrix units, binary32 sums"), ("f16", "matrix units, binary16 sums")):
        names = [f"{gpu}:{output}" for row in TABLE if row.inputs == "f16" and row.output == output for gpu in row.gpus]
        groups.append({"title": title, "names": list(dict.fromkeys(names))})
    return [*groups, {"title": "rounded sums", "names": list(SUMS)}]
