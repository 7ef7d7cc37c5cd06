"""What a printed record is made of: headings, facts and tables, and how they look as plain text and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import TypeAlias

__all__ = ["Facts", "Gap", "Heading", "Lines", "Part", "Table", "columns", "markdown", "plain_text"]

_LABEL = 10
_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Heading:
    """A title of what follows."""

    text: str


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of prose, and fields that stand in columns without a head."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels and what they say; an empty label goes on with the one before."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a head.

    Parameters
    ----------
    head : tuple of str
        Titles of the columns; all empty for a table that needs none.
    rows : tuple of tuple of str
        Cells.
    right : frozenset of str
        Titles of the columns that are aligned on the right.
    marked : frozenset of int
        Rows that stand out where colours can be shown.
    below : frozenset of int
        Columns that go below the one before them where the table is wider than the screen.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[str] = frozenset()
    marked: frozenset[int] = frozenset()
    below: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Gap:
    """A blank line."""


Part: TypeAlias = "Gap | Heading | Lines | Facts | Table"


def columns(rows: Iterable[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Align rows of cells, on the left but for the columns named in `right`."""
    table = [list(row) for row in rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = []
    for row in table:
        cells = zip(row, widths, strict=True)
        aligned = [cell.rjust(width) if i in right else cell.ljust(width) for i, (cell, width) in enumerate(cells)]
        lines.append("  ".join(aligned).rstrip())
    return lines


def _on_the_right(table: Table) -> frozenset[int]:
    return frozenset(i for i, title in enumerate(table.head) if title in table.right)


def plain_text(parts: Iterable[Part]) -> str:
    """Aligned text, with a blank line before headings and tables."""
    lines: list[str] = []
    before: Part = Gap()
    for part in parts:
        match part:
            case Heading():
                lines += ["", part.text]
            case Lines():
                lines += part.lines
            case Gap():
                lines.append("")
            case Facts():
                for label, text in part.rows:
                    lines += _fact(label, text)
            case Table():
                head = [part.head] if any(part.head) else []
                gap = [] if isinstance(before, Heading) else [""]
                lines += [*gap, *columns([*head, *part.rows], _on_the_right(part))]
        before = part
    return "\n".join(lines).lstrip("\n")


def _fact(label: str, text: str) -> list[str]:
    """A label and its text, wrapped under itself."""
    parts = wrap(text, _WIDTH - _LABEL, break_long_words=False) or [""]
    return [f"{label if i == 0 else '':<{_LABEL}}{part}".rstrip() for i, part in enumerate(parts)]


def markdown(parts: Iterable[Part]) -> str:
    """Markdown with the tables of GitHub and Pandoc; headings are bold lines, so that they nest in any document."""
    blocks: list[str] = []
    for part in parts:
        match part:
            case Heading():
                blocks.append(f"**{_escaped(part.text)}**")
            case Lines():
                blocks.append("\\\n".join(_escaped(line) for line in part.lines))
            case Facts():
                blocks.append("\n".join(_list(part.rows)))
            case Table():
                right = _on_the_right(part)
                rule = ["--:" if i in right else ":--" for i in range(len(part.head))]
                rows = ([_escaped(cell) for cell in row] for row in (part.head, *part.rows))
                head, *body = (f"| {' | '.join(row)} |" for row in rows)
                blocks.append("\n".join([head, f"| {' | '.join(rule)} |", *body]))
    return "\n\n".join(blocks) + "\n"


def _list(rows: tuple[tuple[str, str], ...]) -> list[str]:
    items: list[str] = []
    for label, text in rows:
        if label:
            items.append(f"- {_escaped(label)}: {_escaped(text)}")
        elif items:
            items[-1] += f"; {_escaped(text)}"
    return items


def _escaped(text: str) -> str:
    """Text whose characters mean themselves in Markdown."""
    return "".join(f"\\{character}" if character in "\\`*_[]<>|#~" else character for character in text)
