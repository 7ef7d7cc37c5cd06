"""`halfsim study`: list, run and report the studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from halfsim.checks import near
from halfsim.cli.group import FAILED, Group, examples
from halfsim.cli.running import extra, run_options, running

if TYPE_CHECKING:
    from collections.abc import Mapping

    from halfsim.studies import Study

__all__ = ["study"]


_LIST = "halfsim study list"
_RUN = "halfsim study run quickstart"
_REPORT = "halfsim study report quickstart"


@click.group(cls=Group, epilog=examples(_LIST, _RUN, _REPORT))
def study() -> None:
    """List, run and report studies; needs the extra: pip install 'halfsim[studies]'."""


def _studies() -> Mapping[str, Study]:
    with extra():
        from halfsim.studies import STUDIES
    return STUDIES


def _one(name: str) -> Study:
    studies = _studies()
    if name not in studies:
        raise click.UsageError(f"unknown study {name!r}; {near(name, studies)}")
    return studies[name]


def _folder(name: str, out: Path | None) -> Path:
    return Path("runs") / name if out is None else out


@study.command("list", epilog=examples(_LIST))
def list_() -> None:
    """Print the name and the claim of every study."""
    from halfsim.explanation.parts import columns

    click.echo("\n".join(columns((name, entry.summary) for name, entry in _studies().items())))


@study.command(
    epilog=examples(
        _RUN,
        f"{_RUN} --seeds 1 --out runs/quick",
        notes=(
            "Interrupted or killed, the same command goes on where it stopped, to the same bits.",
            "Exit status: 0 success, 1 a number is outside of its range, or failure, 2 wrong usage.",
        ),
    )
)
@click.argument("name")
@click.option("--seeds", type=click.IntRange(min=1), help="Number of seeds.  [default: the study's]")
@run_options("runs/NAME")
def run(name: str, out: Path | None, seeds: int | None, jobs: int | None, scheduler: str | None, progress: bool) -> int:
    """Run the study NAME, and print its report."""
    chosen = _one(name)
    folder = _folder(name, out)
    with extra():
        with running(scheduler):
            chosen.run(folder, seeds=seeds, jobs=jobs, progress=progress, scheduler=scheduler)
        click.echo(chosen.report(folder))
    click.echo(f"Results, tables and figures are in {folder}")
    return FAILED if chosen.failed(folder) else 0


@study.command(epilog=examples(_REPORT))
@click.argument("name")
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the results.  [default: runs/NAME]",
)
def report(name: str, out: Path | None) -> None:
    """Print the report of the finished study NAME again."""
    chosen = _one(name)
    folder = _folder(name, out)
    try:
        with extra():
            click.echo(chosen.report(folder))
    except FileNotFoundError:
        raise click.ClickException(f"{folder} holds no results: run halfsim study run {name} first") from None
