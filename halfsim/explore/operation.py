"""One operation as the page shows it: operands by bits, the exact value, and all seven roundings side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from halfsim import environment as presets
from halfsim.environment import Environment
from halfsim.explanation.elementwise import Explanation, explain, operation_rows
from halfsim.explanation.literals import integer, parse
from halfsim.explanation.steps import Decision
from halfsim.explanation.text import datum_row, rest_digits, rounding_facts, rounding_text
from halfsim.explanation.values import Datum
from halfsim.explore.fields import FieldError, blamed, chosen, text, texts
from halfsim.explore.line import number_line
from halfsim.formats import BINARY16
from halfsim.rounding import ALIASES, Rounding, RoundingLike, Stochastic

__all__ = ["ENVIRONMENTS", "OPERANDS", "explore_operation"]

OPERANDS = ("a", "b", "c")
ENVIRONMENTS: dict[str, Environment] = {
    name: getattr(presets, name) for name in ("IEEE", "RISCV", "ARM", "ARM_DEFAULT_NAN", "X86", "CUDA", "FLUSHING")
}
"""Environments by name."""

_FIELDS = ("sign", "exponent", "fraction")


def explore_operation(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Explain one operation in all seven roundings.

    Parameters
    ----------
    asked : mapping
        ``operation`` and ``environment`` by name, ``operands`` as typed, and ``bits`` and ``seed`` of the stochastic
        rounding; all texts.

    Returns
    -------
    dict
        Of JSON's types: the operands with their bits, the exact value, the roundings, the number line.

    Raises
    ------
    FieldError
        For a field that is missing, unknown or no number.

    Examples
    --------
    >>> from halfsim.explore.operation import explore_operation
    >>> asked = {"operation": "add", "operands": ["1", "0x1p-11"], "environment": "IEEE", "bits": "8", "seed": "0"}
    >>> answer = explore_operation(asked)
    >>> answer["exact"]["hexadecimal"], [(row["alias"], row["result"]["pattern"]) for row in answer["roundings"][:3]]
    ('0x1.002p+0', [('rne', '0x3c00'), ('rna', '0x3c01'), ('rtz', '0x3c00')])
    """
    rows = operation_rows()
    row = rows[chosen(asked, "operation", tuple(rows))]
    name = chosen(asked, "environment", tuple(ENVIRONMENTS))
    typed = texts(asked, "operands", len(OPERANDS))
    if len(typed) != row.arity:
        raise FieldError(f"{row.name} takes {row.arity} operand(s), not {len(typed)}", "operands")
    values, notes = [], []
    for position, (field, word) in enumerate(zip(OPERANDS, typed, strict=False)):
        with blamed(field):
            if position == row.integers:
                values.append(integer(word, field))
                notes.append("")
            else:
                literal = parse(word, field, BINARY16)
                values.append(literal.scalar)
                notes.append(literal.note)
    stochastic = _stochastic(text(asked, "bits"), text(asked, "seed"))
    roundings: list[tuple[str, RoundingLike]] = list(ALIASES.items())
    roundings.append((f"stochastic:{stochastic.bits}:{stochastic.seed}", stochastic))
    steps = [explain(row.name, *values, rounding=rounding, environment=ENVIRONMENTS[name]) for _, rounding in roundings]
    exact = steps[0].exact
    return {
        "operation": row.name,
        "ieee": row.ieee,
        "operands": [_shown(datum) | {"note": note} for datum, note in zip(steps[0].operands, notes, strict=True)],
        "exact": None if exact is None else {"hexadecimal": exact.hexadecimal, "decimal": exact.decimal},
        "outcome": steps[0].outcome,
        "roundings": [_rounding(alias, step, name) for (alias, _), step in zip(roundings, steps, strict=True)],
        "line": number_line(steps),
    }


def _stochastic(bits: str, seed: str) -> Stochastic:
    numbers = {}
    for field, word in (("bits", bits), ("seed", seed)):
        if not (word.isascii() and word.isdigit() and len(word) <= 20):
            raise FieldError(f"{field} of stochastic rounding: {word[:40]!r} is no whole number such as 8", field)
        numbers[field] = int(word)
        with blamed(field):
            Stochastic(**{"bits": 1, "seed": 0, field: numbers[field]})
    return Stochastic(**numbers)


def _shown(datum: Datum) -> dict[str, Any]:
    """Return an operand or a result with its bits, each beside the pattern that it gives when it is flipped."""
    bits: list[dict[str, str]] = []
    place = len(datum.encoding.replace(" ", ""))
    for field, digits in zip(_FIELDS, datum.encoding.split(), strict=False):
        for digit in digits:
            place -= 1
            flipped = f"{datum.bits ^ (1 << place):#06x}"
            bits.append({"digit": digit, "field": field, "place": str(place), "flipped": flipped})
    _, pattern, _, kind, value = datum_row(datum)
    words = {"name": datum.name, "pattern": pattern, "kind": kind, "value": value, "decimal": datum.decimal}
    return words | {"bits": bits}


def _rounding(alias: str, step: Explanation, environment: str) -> dict[str, Any]:
    return {
        "name": step.rounding.name if isinstance(step.rounding, Rounding) else "stochastic",
        "title": rounding_text(step.rounding),
        "alias": alias,
        "result": _shown(step.result),
        "flags": [str(flag.name) for flag in step.flags],
        "reasons": list(step.flag_reasons),
        "decision": None if step.decision is None else _decision(step.decision),
        "facts": [list(fact) for fact in rounding_facts(step)],
        "command": _command(alias, step, environment),
    }


def _decision(step: Decision) -> dict[str, str]:
    digits = {"kept": f"{step.kept:b}", "guard": str(step.guard), "rest": rest_digits(step.rest)}
    direction = ("away from zero" if step.up else "toward zero") if step.guard or step.rest or step.sticky else "exact"
    return digits | {"sticky": str(step.sticky), "direction": direction, "reason": step.reason}


def _command(alias: str, step: Explanation, environment: str) -> str:
    """Return the command that prints the same."""
    operands = (datum.decimal if datum.format == "int64" else datum.pattern for datum in step.operands)
    words = ["halfsim explain", step.operation, *operands, "--rounding", alias]
    flushes = ("ieee", "--flush-inputs", "--flush-results")
    return " ".join([*words, "--environment", *(flushes if environment == "FLUSHING" else (environment.lower(),))])
