"""One dot product as the page shows it: the terms of every accumulator as bars, and the results in one table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from halfsim.accumulators import MatrixUnit
from halfsim.explanation.comparison import comparison
from halfsim.explanation.dot import DotExplanation, explain_dot
from halfsim.explanation.dot_text import accumulator_text, method_text
from halfsim.explanation.literals import dot_formats, parse
from halfsim.explanation.parts import Facts, Lines, Table
from halfsim.explore.bars import Bar, Window, block_bars, step_bar
from halfsim.explore.fields import FieldError, blamed, text, texts
from halfsim.mfma import ExactDotAdd
from halfsim.tensorcores import as_accumulator

__all__ = ["MOST_ROWS", "MOST_TERMS", "explore_dot"]

MOST_TERMS, MOST_ROWS = 64, 8
# So many blocks and steps of an accumulator are drawn.
_BLOCKS, _STEPS = 4, 24
_BETWEEN = re.compile(r"[\s,;]+")


def explore_dot(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Explain one dot product in several accumulators.

    Parameters
    ----------
    asked : mapping
        ``a`` and ``b``, the factors as typed, separated by commas or spaces; ``c``, the addend, empty for none; and
        ``rows``, names of accumulators.

    Returns
    -------
    dict
        Of JSON's types: the table of `halfsim.compare_dot`, and for every accumulator its bars.

    Raises
    ------
    FieldError
        For a field that is missing, unknown or no number.

    Examples
    --------
    >>> from halfsim.explore.dot import explore_dot
    >>> answer = explore_dot({"a": "4096 4096 0.25", "b": "2048 -2048 1", "c": "", "rows": ["a100:f32", "h100:f32"]})
    >>> [(card["name"], card["result"], card["error"]) for card in answer["cards"]]
    [('a100:f32', '0', '-0.25'), ('h100:f32', '0.25', '0')]
    """
    names = texts(asked, "rows", MOST_ROWS)
    with blamed("rows"):
        if not names:
            raise ValueError("no accumulator is chosen; choose one or more")
        formats = dot_formats([as_accumulator(name[:40], "dot") for name in names])
    notes: list[str] = []
    vectors = []
    for field, fmt in zip("ab", formats, strict=False):
        words = [word for word in _BETWEEN.split(text(asked, field)) if word]
        with blamed(field):
            if not 1 <= len(words) <= MOST_TERMS:
                raise ValueError(f"{field} has {len(words)} numbers; write 1 to {MOST_TERMS}, separated by commas")
            literals = [parse(word, f"{field}[{k}]", fmt) for k, word in enumerate(words)]
        notes += [literal.note for literal in literals if literal.note]
        vectors.append(np.array([literal.scalar for literal in literals]))
    if len(vectors[0]) != len(vectors[1]):
        raise FieldError(f"a has {len(vectors[0])} numbers and b has {len(vectors[1])}; write as many of each", "b")
    addend = None
    if typed := text(asked, "c", "").strip():
        with blamed("c"):
            literal = parse(typed, "c", formats[2])
        notes += [literal.note] if literal.note else []
        addend = literal.scalar
    with blamed("rows"):
        every = [explain_dot(vectors[0], vectors[1], addend, accumulator=name) for name in names]
    return _answer(names, every) | {"notes": notes}


def _answer(names: Sequence[str], every: Sequence[DotExplanation]) -> dict[str, Any]:
    compared = comparison(names, every)
    facts: dict[str, Any] = {}
    for part in compared.parts():
        match part:
            case Lines():
                facts["operands"] = part.lines[0]
            case Facts():
                facts["exact"] = part.rows[0][1]
            case Table():
                facts["table"] = {"head": part.head, "rows": part.rows, "marked": sorted(part.marked)}
    grouped = [_groups(steps) for steps in every]
    window = Window(bar for groups in grouped for _, bars, _ in groups for bar in bars)
    cards = []
    cells = facts["table"]["rows"]
    for row, steps, groups in zip(cells, every, grouped, strict=True):
        named = dict(zip(facts["table"]["head"], row, strict=True))
        card = {
            "name": named["accumulator"],
            "about": _about(steps),
            "result": named["value"],
            "pattern": named["d"],
            "error": named["error"],
            "ulp": named["ulp"],
            "loss": named["first loss"],
            "groups": [
                {"title": title, "bars": [window.drawn(bar) for bar in bars], "result": result}
                for title, bars, result in groups
            ],
            "more": _more(steps),
        }
        cards.append(card)
    return facts | {"axis": window.axis(), "cards": cards}


def _about(steps: DotExplanation) -> str:
    row = steps.accumulator
    blocks = f"; blocks of {row.terms}, {method_text(row)}" if isinstance(row, MatrixUnit) else ""
    return accumulator_text(row) + blocks


def _groups(steps: DotExplanation) -> list[tuple[str, Sequence[Bar], str]]:
    """Title, bars and result of everything that is drawn for one accumulator."""
    groups: list[tuple[str, Sequence[Bar], str]] = []
    if steps.steps:
        bars = [step_bar(step) for step in steps.steps[:_STEPS]]
        groups.append(("conversion of c" if steps.blocks else "rounded operations", bars, ""))
    aligned = not isinstance(steps.accumulator, ExactDotAdd)
    for block in steps.blocks[:_BLOCKS]:
        title = f"block {block.number}: products {block.first} to {block.last}"
        if block.largest_exponent is not None:
            title += f", largest exponent {block.largest_exponent}, unit 2^{block.unit}"
        groups.append((title, block_bars(block, aligned=aligned), f"{block.result.pattern} = {block.result.decimal}"))
    return groups


def _more(steps: DotExplanation) -> str:
    """What is not drawn."""
    left = [
        f"{len(items) - most} more {what}"
        for items, most, what in ((steps.steps, _STEPS, "operations"), (steps.blocks, _BLOCKS, "blocks"))
        if len(items) > most
    ]
    return " and ".join(left)
