"""`halfsim train`: run a configuration file and its sweep."""

from __future__ import annotations

from pathlib import Path

import click

from halfsim.cli.group import FAILED, examples
from halfsim.cli.running import extra, run_options, running

__all__ = ["train"]

_ONE = "halfsim train digits.toml"
_SET = "halfsim train digits.toml --set policy.update=kahan --set 'sweep.seed=[0,1,2]'"
_MANY = "halfsim train digits.toml -o runs/digits --scheduler tcp://localhost:8786"


@click.command(
    epilog=examples(
        _ONE,
        _SET,
        _MANY,
        notes=(
            "Interrupted or killed, the same command goes on where it stopped, to the same bits.",
            "Exit status: 0 success, 1 failure, 2 a mistake in the configuration.",
        ),
    ),
)
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a key of the file, as in TOML; one that [sweep] has is an error: change sweep.KEY=[...].",
)
@run_options("runs/ the name of the file")
def train(
    config: Path, changes: tuple[str, ...], out: Path | None, jobs: int | None, scheduler: str | None, progress: bool
) -> int:
    """Run the TOML file CONFIG, every combination of its [sweep], and print the report.

    Keys: batch, steps, evaluate_every, sample_every, clip_norm, seed; tables: [task], [model], [optimizer], each with a
    name and the fields of that row; [policy] with the base it changes; [sweep] with lists of values by dotted key.
    Needs the extra: pip install 'halfsim[studies]'.
    """
    with extra():
        from halfsim.studies.sweep import configured
        from halfsim.training.config import ConfigError

        try:
            study, seeds = configured(config, changes)
        except ConfigError as error:
            raise click.UsageError(str(error)) from None
        folder = out or Path("runs") / config.stem
        with running(scheduler):
            study.run(folder, seeds=seeds, jobs=jobs, progress=progress, scheduler=scheduler)
        click.echo(study.report(folder))
    click.echo(f"Results, tables and figures are in {folder}")
    return FAILED if study.failed(folder) else 0
