"""How commands print a record: tables in colour on a terminal, aligned text elsewhere, JSON and Markdown on request."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from halfsim.explanation.parts import Part, Table
    from halfsim.explanation.values import Printed

__all__ = ["FORMATS", "render", "show"]

FORMATS = ("text", "json", "markdown")


def show(record: Printed, title: str, form: str, everything: bool, file: Path | None) -> None:
    """Print a record below a title, or write it to a file; JSON has no title."""
    from halfsim.explanation.parts import Gap, Lines, markdown, plain_text

    parts = [*((Lines((title,)), Gap()) if title else ()), *record.parts(everything)]
    if form == "json":
        text = record.to_json() + "\n"
    elif form == "markdown":
        text = markdown(parts)
    elif file is None and sys.stdout.isatty() and _print_in_colour(parts):
        return
    else:
        text = plain_text(parts) + "\n"
    if file is None:
        click.echo(text, nl=False)
        return
    from halfsim.testvectors.formats.files import replacing

    with replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _print_in_colour(parts: Iterable[Part]) -> bool:
    """Print with rich; False where it is not installed."""
    try:
        from rich.console import Console
    except ImportError:
        return False
    console = Console(highlight=False)
    console.print(render(parts, console.width), end="")
    return True


def render(parts: Iterable[Part], width: int) -> RenderableType:
    """Return the parts of a record as rich shows them, in so many columns.

    Every string becomes a `Text`, since brackets in strings are markup to rich.
    """
    from rich.console import Group as Stack
    from rich.text import Text

    from halfsim.explanation.parts import Facts, Gap, Heading, Lines, Table

    shown: list[Any] = []
    for part in parts:
        match part:
            case Heading():
                shown += [Text(), Text(part.text, style="bold")]
            case Lines():
                shown += [Text(line) for line in part.lines]
            case Gap():
                shown.append(Text())
            case Facts():
                shown.append(_facts(part.rows))
            case Table():
                shown.append(_table(part, width))
    return Stack(*shown)


def _facts(rows: Iterable[tuple[str, str]]) -> RenderableType:
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid.grid(padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(Text(label), Text(text))
    return grid


def _table(part: Table, width: int) -> RenderableType:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    columns = [[row[i] for row in (part.head, *part.rows)] for i in range(len(part.head))]
    # Numbers stay whole; where there is prose it gives way, word by word.
    prose = [
        title not in part.right and any(" " in cell for cell in cells[1:])
        for title, cells in zip(part.head, columns, strict=True)
    ]
    least = [
        max(len(word) for cell in cells for word in (cell.split() if gives else [cell]) or [""])
        for cells, gives in zip(columns, prose, strict=True)
    ]
    groups: list[list[int]] = []
    for i in range(len(columns)):
        if i in part.below and sum(least) + 2 * len(least) > width:
            groups[-1].append(i)
        else:
            groups.append([i])
    grid = Grid(box=box.SIMPLE_HEAD, show_header=any(part.head), header_style="bold", padding=(0, 1, 0, 0))
    for group in groups:
        title = Text("\n".join(part.head[i] for i in group))
        justify: Any = "right" if part.head[group[0]] in part.right else "left"
        whole = not any(prose[i] for i in group)
        grid.add_column(title, justify=justify, overflow="fold", no_wrap=whole, min_width=max(least[i] for i in group))
    for number, row in enumerate(part.rows):
        style = "yellow" if number in part.marked else "dim" if row[0].startswith("...") else None
        cells = ("\n".join(row[i] for i in group).rstrip() for group in groups)
        grid.add_row(*(Text(cell) for cell in cells), style=style)
    return grid
