"""Numbers on the command line: read, with a note on standard error if they had to be rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from halfsim.cli.group import usage

if TYPE_CHECKING:
    from halfsim.formats import Format

__all__ = ["number"]


def number(text: str, name: str, fmt: Format) -> Any:
    """Read a number as a NumPy scalar; one of a format that NumPy has not, as a float32 of the same value."""
    from halfsim.explanation.literals import parse

    with usage():
        literal = parse(text, name, fmt)
    if literal.note:
        click.echo(f"note: {literal.note}", err=True)
    return literal.scalar
