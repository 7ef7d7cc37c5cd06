"""Text and Markdown of records: columns line up, tables parse, nothing is taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

import halfsim as hs
from halfsim.explanation.parts import Facts, Gap, Heading, Lines, Table, markdown, plain_text
from halfsim.explanation.values import Printed

RNG = np.random.default_rng(2)
A, B = (np.float16(RNG.normal(size=200) * 2.0 ** RNG.integers(-9, 9, 200)) for _ in range(2))
RECORDS = {
    "elementwise": lambda: hs.explain("divide", np.float16(1), np.float16(3)),
    "convert": lambda: hs.explain("convert", 1000.0, hs.E4M3),
    "blocks": lambda: hs.explain_dot(A, B, np.float32(0.1), accumulator="a100:f16"),
    "block": lambda: hs.explain_dot(A[:9], B[:9], accumulator="h100:f32"),
    "steps": lambda: hs.explain_dot(A, B, accumulator="compensated:f16"),
    "nothing": lambda: hs.explain_dot(A[:0], B[:0], accumulator="h100:f32"),
    "comparison": lambda: hs.compare_dot(A, B, accumulators=["v100:f32", "h100:f16", "fp16", "exact"]),
}


def tables(text: str) -> Iterator[list[list[str]]]:
    """Pipe tables of Markdown, cell by cell, by the rules of GitHub: a row per line, an escaped pipe is text."""
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if lines[0].startswith("|"):
            assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
            yield [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("name", RECORDS)
def test_markdown_tables_parse(name: str, everything: bool) -> None:
    record: Printed = RECORDS[name]()
    found = list(tables(record.to_markdown(everything)))
    parts = [part for part in record.parts(everything) if isinstance(part, Table)]
    assert len(found) == len(parts)
    for rows, part in zip(found, parts, strict=True):
        assert {len(row) for row in rows} == {len(part.head)}
        assert all(re.fullmatch(r":--|--:", cell) for cell in rows[1])
        unescaped = [[re.sub(r"\\(.)", r"\1", cell) for cell in row] for row in rows]
        assert unescaped[0] == list(part.head)
        assert unescaped[2:] == [[" ".join(cell.split(" ")).strip() for cell in row] for row in part.rows]


def test_characters_mean_themselves_in_markdown() -> None:
    parts = [Heading("a[0]*b[0]"), Lines(("x_1 | y", "2 < 3")), Table(("n", ""), (("a|b", "`c`"),), frozenset({"n"}))]
    assert markdown(parts) == (
        "**a\\[0\\]\\*b\\[0\\]**\n\nx\\_1 \\| y\\\n2 \\< 3\n\n| n |  |\n| --: | :-- |\n| a\\|b | \\`c\\` |\n"
    )


def test_facts_go_on_under_the_same_label() -> None:
    parts = [Facts((("sum", "1"), ("", "two"), ("flags", "none")))]
    assert plain_text(parts) == "sum       1\n          two\nflags     none"
    assert markdown(parts) == "- sum: 1; two\n- flags: none\n"


def test_columns_line_up() -> None:
    table = Table(("k", "value"), (("1", "a"), ("100", "bcd")), frozenset({"k"}))
    assert plain_text([Heading("head"), table, Gap(), Table(("", ""), (("x", "y"),))]) == (
        "head\n  k  value\n  1  a\n100  bcd\n\n\nx  y"
    )


@pytest.mark.parametrize("name", RECORDS)
def test_text_has_no_ragged_ends(name: str) -> None:
    lines = str(RECORDS[name]()).split("\n")
    assert all(line == line.rstrip() for line in lines)
    assert lines[0] and lines[-1] and max(map(len, lines)) <= 160
