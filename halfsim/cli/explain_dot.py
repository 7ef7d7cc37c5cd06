"""`halfsim explain dot`: every step of one dot product, or what several accumulators make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from halfsim.checks import near
from halfsim.cli.group import usage
from halfsim.cli.literals import number

if TYPE_CHECKING:
    from halfsim.accumulators import Accumulator
    from halfsim.explanation.cases import Case
    from halfsim.explanation.values import Printed

__all__ = ["explain_product", "list_cases"]


def list_cases() -> str:
    """Return names, formats and sentences of all cases."""
    from halfsim.explanation.cases import CASES
    from halfsim.explanation.parts import columns

    return "\n".join(columns((case.name, case.output, case.shows) for case in CASES.values()))


def explain_product(texts: tuple[str, ...], options: dict[str, Any]) -> tuple[Printed, str]:
    """Explain one dot product, or compare accumulators on it: return the record, and what its case shows."""
    from halfsim.explanation.comparison import compare_dot
    from halfsim.explanation.dot import explain_dot

    case = _case(options["case"])
    _check(texts, options)
    chosen = options["models"].split(",") if options["models"] else [options["accumulator"]]
    names = [_full_name(name.strip(), case.output if case else "f32") for name in chosen]
    with usage():
        rows = [_accumulator(name) for name in names]
        a, b, c = _of_case(case) if case else _operands(options, rows)
        if options["models"]:
            record: Printed = compare_dot(a, b, c, accumulators=names)
        else:
            record = explain_dot(a, b, c, accumulator=rows[0])
    return record, f"{case.name}: {case.shows}" if case else ""


def _check(texts: tuple[str, ...], options: dict[str, Any]) -> None:
    """Refuse calls that say too little or too much."""
    if texts:
        raise click.UsageError(f"dot takes no operands such as {texts[0]!r}; write --a 1,2 --b 3,4, or --case NAME")
    if bool(options["accumulator"]) == bool(options["models"]):
        raise click.UsageError(
            "dot takes --accumulator for every step of one sum, or --models for a comparison, as in: "
            "dot --models v100,a100,h100,fp32,exact --case cancel"
        )
    given = [name for name, key in (("--a", "left"), ("--b", "right"), ("--c", "addend")) if options[key] is not None]
    if options["case"] is not None and given:
        raise click.UsageError(f"--case brings its own operands; drop {' and '.join(given)}, or --case")
    if options["case"] is None and not (options["left"] and options["right"]):
        raise click.UsageError("dot takes --a and --b, as in --a 1,2 --b 3,4, or --case NAME (see --list-cases)")


def _case(name: str | None) -> Case | None:
    from halfsim.explanation.cases import CASES

    if name is None:
        return None
    if name.lower() not in CASES:
        raise click.UsageError(f"unknown case {name!r}; {near(name.lower(), CASES)}")
    return CASES[name.lower()]


def _full_name(text: str, output: str) -> str:
    """Return a name as `as_accumulator` takes it: a GPU alone gets an output."""
    from halfsim.tensorcores import SUMS, names

    base = text.lower().split(":")[0]
    if base not in names():
        raise click.UsageError(f"unknown accumulator {text!r}; {near(base, names())}")
    return text.lower() if ":" in text or base in SUMS else f"{base}:{output}"


def _accumulator(name: str) -> Accumulator:
    from halfsim.tensorcores import as_accumulator

    return as_accumulator(name, "explain_dot")


def _of_case(case: Case) -> tuple[Any, Any, Any]:
    import numpy as np

    word, native = (np.uint32, np.float32) if case.output == "f32" else (np.uint16, np.float16)
    a, b = (np.array(patterns, np.uint16).view(np.float16) for patterns in (case.a, case.b))
    return a, b, np.array([case.c], word).view(native)[0]


def _operands(options: dict[str, Any], rows: list[Accumulator]) -> tuple[Any, Any, Any]:
    """Read the factors and C in the formats of the rows."""
    import numpy as np

    from halfsim.explanation.literals import dot_formats

    formats = dot_formats(rows)
    factors = [
        np.array([number(text, f"{name}[{k}]", fmt) for k, text in enumerate(options[key].split(","))])
        for name, key, fmt in (("a", "left", formats[0]), ("b", "right", formats[1]))
    ]
    addend = options["addend"]
    return factors[0], factors[1], None if addend is None else number(addend, "c", formats[2])
