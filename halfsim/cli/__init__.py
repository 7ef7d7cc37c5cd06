"""The command line: thin commands, one verb per function, errors in one line."""

from __future__ import annotations

import importlib

import click

from halfsim._version import __version__
from halfsim.cli.group import Group, examples

__all__ = ["main"]

_VERBS = {
    "bench": "Measure the simulator beside its peers.",
    "dpi": "Write the simulator as an object file for SystemVerilog and C.",
    "explain": "Show every step of an operation or a dot product.",
    "explore": "Show every step in the browser, as one types.",
    "models": "Print the table of tensor cores, with sources and evidence.",
    "study": "List, run and report the studies.",
    "train": "Run a configuration file and its sweep.",
    "vectors": "Make test vectors, and compare them with the simulator.",
    "verify": "Verify every pair of operands.",
    "warmup": "Compile every loop now, so that no later call waits.",
}
"""What each verb does; it is the command of that name in the module of that name."""

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


class _Verbs(Group):
    """The verbs, each imported when it is asked for: a help text needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _VERBS and cmd_name not in self.commands:
            command: click.Command = getattr(importlib.import_module(f"halfsim.cli.{cmd_name}"), cmd_name)
            command.short_help = _VERBS[cmd_name]
            self.add_command(command)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


@click.group(
    "halfsim",
    cls=_Verbs,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="halfsim %(version)s")
def main() -> None:
    """Bit-accurate binary16 arithmetic, dot products and mixed-precision training."""
