"""The command line: thin commands, one verb per function, errors in one line."""

from __future__ import annotations

import click

from halfsim._version import __version__
from halfsim.cli.dpi import dpi
from halfsim.cli.explain import explain
from halfsim.cli.group import Group, examples
from halfsim.cli.models import models
from halfsim.cli.study import study
from halfsim.cli.train import train
from halfsim.cli.vectors import vectors
from halfsim.cli.verify import verify
from halfsim.cli.warmup import warmup

__all__ = ["main"]


_EPILOG = examples(
    "halfsim explain fma 0x3c01 0x3c01 0x8001 --rounding rtz",
    "halfsim explain dot --accumulator h100:f32 --a 4096,4096,0.25 --b 2048,-2048,1",
    "halfsim models ampere",
    "halfsim study run quickstart",
    notes=(
        "Exit status: 0 success, 1 failure or disagreement, 2 wrong usage, 130 interrupted, 143 terminated.",
        "HALFSIM_DEBUG=1 shows the details of an unexpected error.",
    ),
)


@click.group(
    "halfsim",
    cls=Group,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="halfsim %(version)s")
def main() -> None:
    """Bit-accurate binary16 arithmetic, dot products and mixed-precision training."""


for _command in (dpi, explain, models, study, train, vectors, verify, warmup):
    main.add_command(_command)
