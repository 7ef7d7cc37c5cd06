"""What commands that make runs have in common: their options, and what they say when something is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

__all__ = ["address", "extra", "run_options", "running"]


def address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty address, as of a variable that is not set: local processes would do the work."""
    if value == "":
        raise click.BadParameter("an empty text is no address; pass one such as tcp://HOST:8786")
    return value


def run_options(default: str) -> Callable[[Any], Any]:
    """Return a decorator with the options of where and how to run; `default` says what the folder is without."""
    options = (
        click.option(
            "-o",
            "--out",
            type=click.Path(file_okay=False, path_type=Path),
            help=f"Folder of the results.  [default: {default}]",
        ),
        click.option("-j", "--jobs", type=click.IntRange(min=1), help="Processes at a time.  [default: one per core]"),
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            callback=address,
            help="A Dask scheduler, tcp://HOST:8786, instead of local processes; its workers share the folder.",
        ),
        click.option("--progress/--no-progress", default=True, help="Show a progress bar on standard error."),
    )

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@contextmanager
def extra() -> Iterator[None]:
    """Name the extra to install when one of its packages is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("halfsim"):
            raise
        raise click.ClickException(
            f"studies need {error.name}, which is not installed: pip install 'halfsim[studies]'"
        ) from error


@contextmanager
def running(scheduler: str | None) -> Iterator[None]:
    """Say in one line what stopped the workers."""
    try:
        yield
    except FileNotFoundError as error:
        if error.filename:
            raise
        raise click.ClickException(str(error)) from None
    except (ValueError, RuntimeError) as error:
        from halfsim.executors import AddressError

        kind = click.UsageError if isinstance(error, AddressError) else click.ClickException
        raise kind(str(error)) from None
    except OSError as error:
        if not scheduler or error.filename:
            raise
        raise click.ClickException(f"no Dask scheduler answers at {scheduler}: start one with dask scheduler") from None
