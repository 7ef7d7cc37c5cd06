"""The command ``python -m halfsim.capture``."""

from __future__ import annotations

from pathlib import Path

import click

from halfsim.capture.conformance import conform
from halfsim.capture.device import DeviceError
from halfsim.capture.program import capture, open_device, select_groups

__all__ = ["main"]

_EPILOG = """\b
Examples:
  python -m halfsim.capture --out vectors/cuda
  python -m halfsim.capture --out vectors/cuda --time-limit 540
  python -m halfsim.capture --out vectors/cuda --only mma --only experiments
  python -m halfsim.capture --check vectors/cuda

The same command continues an interrupted capture. Exit status: 0 success, 1 failure or disagreement (and a check
that found no capture), 2 wrong usage. halfsim vectors check says more.
"""


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of all captures.")
@click.option("--only", multiple=True, metavar="NAME", help="Only groups whose name begins so; may be repeated.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="Seed of the random operands.")
@click.option("--gpu", default=0, show_default=True, type=click.IntRange(min=0), help="Number of the GPU.")
@click.option("--time-limit", type=click.FloatRange(min=0), metavar="SECONDS", help="Begin no instruction after this.")
@click.option(
    "--list", "listing", is_flag=True, help="List the groups (with --only, those), the most decisive first, and stop."
)
@click.option("--check", "checked", type=click.Path(path_type=Path), help="Compare a folder's captures and stop.")
def main(
    out: Path | None,
    only: tuple[str, ...],
    seed: int,
    gpu: int,
    time_limit: float | None,
    listing: bool,
    checked: Path | None,
) -> None:
    """Record an NVIDIA GPU's results bit for bit; needs its driver, and no toolkit."""
    try:
        chosen = select_groups(only)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        if listing:
            for group in chosen:
                click.echo(f"{group.name}: {', '.join(item.name for item in group.instructions)}")
        elif checked is not None:
            raise SystemExit(conform(checked, click.echo, only=only).status)
        elif out is None:
            raise click.UsageError("pass --out FOLDER to record, --check FOLDER to compare, or --list")
        else:
            folder = capture(
                out,
                open_device(gpu),
                seed=seed,
                only=only,
                time_limit=time_limit,
                progress=lambda line: click.echo(line, err=True),
            )
            click.echo(folder)
    except (DeviceError, ValueError) as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main(prog_name="python -m halfsim.capture")
