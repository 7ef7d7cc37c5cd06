"""The part of `halfsim vectors check` that compares captures of GPUs with the simulator."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

__all__ = ["check_captures", "is_capture"]


def is_capture(name: str) -> bool:
    """Whether a path is a folder, or the manifest of a capture; neither if it is absent."""
    path = Path(name)
    return path.is_dir() or (path.name == "MANIFEST.json" and path.exists())


def check_captures(path: Path, *, limit: int, discriminate: bool, as_json: bool, progress: bool) -> int:
    """Print how captures compare with the simulator, and return the exit status."""
    from halfsim.capture.conformance import conform

    say: Callable[[str], object] = (lambda text: None) if as_json else click.echo
    # A terminal that shows each instruction's line needs no counter.
    with _counter(progress and (as_json or not sys.stdout.isatty())) as advance:
        try:
            found = conform(path, say, limit=limit, discriminate=discriminate, each=advance)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps(found.to_dict(), indent=2))
    return found.status


@contextlib.contextmanager
def _counter(wanted: bool) -> Iterator[Callable[[Any], object] | None]:
    """Count instructions on standard error where a terminal listens."""
    if not (wanted and sys.stderr.isatty()):
        yield None
        return
    done = 0

    def advance(item: Any) -> None:
        nonlocal done
        done += 1
        click.echo(f"\r\x1b[K{done} instructions checked, last {item.group} {item.instruction}", err=True, nl=False)

    try:
        yield advance
    finally:
        click.echo("\r\x1b[K", err=True, nl=False)
