"""A report as Markdown that also reads well as text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from halfsim.studies.report import grids
from halfsim.studies.report.grids import Cell, Grid

__all__ = ["NOTES", "cited", "grids_of", "markdown", "origin", "source_lines"]

NOTES = (
    "Test data, mean ± standard deviation over n seeds; a measure that is NaN or infinite is counted, never averaged. "
    "The accuracy of a network that is NaN is no such measure: it is that of naming one class always. "
    "Δ is the difference to the first row, seed by seed, with Student's two-sided 95 % interval of its mean; * marks "
    "one without zero: any other difference is not told apart from none by this many seeds, nor is one that is the "
    "same in all of them, which has no spread to be judged by. Loss: nats per example. "
    "Lost: updates Δw ≠ 0 that left the weight as it was (stochastic rounding moves few weights, each by a whole ulp, "
    "and is right on average). Flushed: gradients stored as zero that are not zero when the same operands are "
    "evaluated in binary32. Overflowed: those stored as infinity. Error: distance of the stored weight gradients from "
    "sums in binary32, relative, root mean square. Swallowed: additions of something that is not zero which left the "
    "partial sum of a product as it was, in the elements that are watched. Skipped: steps without an update, because a "
    "gradient was not finite. Training loss: of the last batch, as the policy's own arithmetic computed it. Gradients, "
    "exact zeros of all, the rest of those that are not zero: below 2^-25 they are stored as zero in binary16, below "
    "2^-24 they are smaller than its smallest number, up to 2^-14 subnormal."
)


def markdown(study: Mapping[str, Any]) -> str:
    """Return the report of a study as Markdown, from what ``results.json`` holds."""
    lines = [f"# {study['study']}: {study['summary']}", "", _wrap(study["claim"]), ""]
    if study["paper"]:
        lines += ["## What the paper says", "", _wrap(study["paper"]), ""]
    for part in study["parts"]:
        lines += [f"## {part['title']}", "", _wrap(part["claim"]), ""]
        for grid in grids_of(part):
            lines += [_table(grid), ""]
        if made := origin(part):
            lines += [_wrap(made), ""]
    if any("summary" in part for part in study["parts"]):
        lines += [_wrap(NOTES), ""]
    if study["checks"]:
        lines += [
            "## Checks",
            "",
            f"{grids.tally(study['checks'])}.",
            "",
            _table(grids.checks(study["checks"])),
            "",
        ]
    if study["limits"]:
        lines += ["## Limits", "", _wrap(study["limits"]), ""]
    lines += [_wrap(" ".join(source_lines(study["provenance"])))]
    return "\n".join(lines) + "\n"


def grids_of(part: Mapping[str, Any]) -> list[Grid]:
    """Return the tables of a part."""
    if "summary" not in part:
        return [grids.computed(part)]
    made = (grids.outcomes(part), grids.books(part), grids.gradients(part), grids.memory(part))
    return [grid for grid in made if grid]


def origin(part: Mapping[str, Any]) -> str:
    """Return a sentence on what computed a table, with which arguments and from which data; "" for runs."""
    if not part.get("function"):
        return ""
    arguments = ", ".join(f"{name}={value!r}" for name, value in part["arguments"].items())
    data = f", from {'; '.join(part['data'])}" if part["data"] else ""
    return f"Computed by {part['function']}({arguments}){data}."


def source_lines(provenance: Mapping[str, Any]) -> list[str]:
    """Return sentences on data and software."""
    data = [f"{one['name']}, {one['file']}, sha256 {one['sha256']}" for one in provenance["data"]]
    made = [f"{name} {' / '.join(values)}" for name, values in provenance["made with"].items()]
    return [*([f"Data: {'; '.join(data)}."] if data else []), *([f"Made with: {', '.join(made)}."] if made else [])]


def _table(grid: Grid) -> str:
    """Return a table whose columns are aligned in the text, too."""
    body = [tuple(_cell(cell) for cell in row) for row in grid.rows]
    head = tuple(_cell(Cell(name)) for name in grid.head)
    widths = [max(len(line[column]) for line in (head, *body)) for column in range(len(head))]
    ends = ["-" if i in grid.words else ":" for i in range(len(widths))]
    rule = "|" + "|".join("-" * (width + 1) + end for width, end in zip(widths, ends, strict=True)) + "|"
    return "\n".join([_line(head, widths, grid), rule, *(_line(line, widths, grid) for line in body)])


def _cell(cell: Cell) -> str:
    text = " ".join(cell.text.split()).replace("|", r"\|")
    return f"{text} *" if cell.strong else text


def _line(cells: Sequence[str], widths: Sequence[int], grid: Grid) -> str:
    padded = [
        cell.ljust(width) if i in grid.words else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"


def cited(paragraph: str) -> str:
    """Return a text with its keys of references as a reader takes them.

    Examples
    --------
    >>> cited("The paper rounds to nearest [@micikevicius2018].")
    'The paper rounds to nearest (Micikevicius 2018).'
    """
    return re.sub(r"\[@([a-z-]+)(\d{4})\]", lambda key: f"({key[1].title()} {key[2]})", paragraph)


def _wrap(paragraph: str) -> str:
    return textwrap.fill(cited(paragraph), 100, break_long_words=False, break_on_hyphens=False)
