"""`halfsim vectors`: make test vectors, and compare them with the simulator."""

from __future__ import annotations

import click

from halfsim.cli.check import check
from halfsim.cli.coverage import coverage
from halfsim.cli.generate import generate
from halfsim.cli.group import Group, examples
from halfsim.cli.tiles import tiles

__all__ = ["vectors"]


@click.group(
    cls=Group,
    epilog=examples("halfsim vectors generate add -o add.tv", "halfsim vectors check add.tv"),
)
def vectors() -> None:
    """Make test vectors, and compare them with the simulator."""


for _command in (check, coverage, generate, tiles):
    vectors.add_command(_command)
