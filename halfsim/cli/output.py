"""How commands print a record: tables in colour on a terminal, aligned text elsewhere, JSON and Markdown on request."""

from __future__ import annotations

import os
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
    else:
        _write(file, text)


def _write(file: Path, text: str) -> None:
    """Write a file under a temporary name and move it in place, so that no reader sees half of it."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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

    rows = [part.head, *part.rows]
    wide = sum(max(len(row[i]) for row in rows) + 2 for i in range(len(part.head))) > width
    below = part.below if wide else frozenset()
    groups: list[list[int]] = []
    for i in range(len(part.head)):
        if i in below:
            groups[-1].append(i)
        else:
            groups.append([i])
    stacked = [["\n".join(row[i] for i in group) if any(row) else "" for group in groups] for row in rows]
    grid = Grid(box=box.SIMPLE_HEAD, show_header=any(part.head), header_style="bold", padding=(0, 1, 0, 0))
    for group, title in zip(groups, stacked[0], strict=True):
        # Numbers stay whole; where there is prose it gives way.
        numbers = part.head[group[0]] in part.right
        cells = [row[i] for i in group for row in part.rows]
        prose = any(" " in cell for cell in cells) and not numbers
        longest = max((len(word) for cell in cells for word in cell.split()), default=0)
        justify: Any = "right" if numbers else "left"
        grid.add_column(Text(title), justify=justify, overflow="fold", no_wrap=not prose, min_width=longest)
    for i, row in enumerate(stacked[1:]):
        style = "yellow" if i in part.marked else "dim" if row[0].startswith("...") else None
        grid.add_row(*(Text(cell.rstrip()) for cell in row), style=style)
    return grid
