"""`halfsim study`: list, run and report the studies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from halfsim.cli.group import Group, examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from halfsim.studies import Study

__all__ = ["study"]


_LIST = "halfsim study list"
_RUN = "halfsim study run quickstart"
_REPORT = "halfsim study report quickstart"
_OUT = click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results.  [default: runs/NAME]",
)


@click.group(cls=Group, epilog=examples(_LIST, _RUN, _REPORT), short_help="List, run and report the studies.")
def study() -> None:
    """List, run and report studies; needs the extra: pip install 'halfsim[studies]'."""


@contextmanager
def _extra() -> Iterator[None]:
    """Name the extra to install when one of its packages is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("halfsim"):
            raise
        raise click.ClickException(
            f"studies need {error.name}, which is not installed: pip install 'halfsim[studies]'"
        ) from error


def _studies() -> Mapping[str, Study]:
    with _extra():
        from halfsim.studies import STUDIES
    return STUDIES


def _one(name: str) -> Study:
    studies = _studies()
    if name not in studies:
        raise click.UsageError(f"unknown study {name!r}; known are {', '.join(studies)}")
    return studies[name]


def _folder(name: str, out: Path | None) -> Path:
    return Path("runs") / name if out is None else out


@study.command("list", epilog=examples(_LIST))
def list_() -> None:
    """Print the name and the claim of every study."""
    from halfsim.explanation.parts import columns

    click.echo("\n".join(columns((name, entry.summary) for name, entry in _studies().items())))


@study.command(epilog=examples(_RUN, f"{_RUN} --seeds 1 --out runs/quick"))
@click.argument("name")
@_OUT
@click.option("--seeds", type=click.IntRange(min=1), help="Number of seeds.  [default: the study's]")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Processes at a time.  [default: one per core]")
@click.option("--progress/--no-progress", default=True, help="Show a progress bar on standard error.")
def run(name: str, out: Path | None, seeds: int | None, jobs: int | None, progress: bool) -> None:
    """Run the study NAME, and print its report."""
    chosen = _one(name)
    folder = _folder(name, out)
    given: dict[str, Any] = {key: value for key, value in (("seeds", seeds), ("jobs", jobs)) if value is not None}
    with _extra():
        chosen.run(folder, progress=progress, **given)
        click.echo(chosen.report(folder))
    click.echo(f"Results, tables and figures are in {folder}")


@study.command(epilog=examples(_REPORT))
@click.argument("name")
@_OUT
def report(name: str, out: Path | None) -> None:
    """Print the report of the finished study NAME again."""
    chosen = _one(name)
    folder = _folder(name, out)
    try:
        with _extra():
            click.echo(chosen.report(folder))
    except FileNotFoundError:
        raise click.ClickException(f"{folder} holds no results: run halfsim study run {name} first") from None
