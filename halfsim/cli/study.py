"""`halfsim study`: list, run and report the studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from halfsim.cli.group import Group, examples

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def _studies() -> Mapping[str, Any]:
    try:
        from halfsim.studies import STUDIES
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("halfsim"):
            raise
        raise click.ClickException(
            f"studies need {error.name}, which is not installed: pip install 'halfsim[studies]'"
        ) from error
    studies: Mapping[str, Any] = STUDIES
    return studies


def _one(name: str) -> Any:
    studies = _studies()
    if name not in studies:
        raise click.UsageError(f"unknown study {name!r}; known are {', '.join(studies)}")
    return studies[name]


def _folder(name: str, out: Path | None) -> Path:
    return Path("runs") / name if out is None else out


@study.command("list", epilog=examples(_LIST))
def list_() -> None:
    """Print the name and the claim of every study."""
    from halfsim.explain.text import columns

    click.echo("\n".join(columns((name, entry.summary) for name, entry in _studies().items())))


@study.command(epilog=examples(_RUN, f"{_RUN} --seeds 1 --out /tmp/quick"))
@click.argument("name")
@_OUT
@click.option("--seeds", type=click.IntRange(min=1), help="Number of seeds.  [default: the study's]")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Processes at a time.  [default: one per core]")
@click.option("--progress/--no-progress", default=True, help="Show a progress bar on standard error.")
def run(name: str, out: Path | None, seeds: int | None, jobs: int | None, progress: bool) -> None:
    """Run the study NAME, and print its report."""
    chosen = _one(name)
    folder = _folder(name, out)
    given = {key: value for key, value in (("seeds", seeds), ("jobs", jobs)) if value is not None}
    chosen.run(folder, progress=progress, **given)
    _show(chosen.report(folder))


@study.command(epilog=examples(_REPORT))
@click.argument("name")
@_OUT
def report(name: str, out: Path | None) -> None:
    """Print the report of the finished study NAME again."""
    chosen = _one(name)
    folder = _folder(name, out)
    if not folder.is_dir():
        raise click.ClickException(f"{folder} does not exist: run halfsim study run {name} first")
    _show(chosen.report(folder))


def _show(text: Any) -> None:
    """Print a report that is returned; one that prints itself returns nothing."""
    if text is not None:
        click.echo(str(text))
