"""`halfsim dpi`: the simulator as an object file for SystemVerilog and C."""

from __future__ import annotations

from pathlib import Path

import click

from halfsim.cli.group import examples, usage

__all__ = ["dpi"]

_EPILOG = examples(
    "halfsim dpi build/",
    "halfsim dpi build/ --operation fma --operation add --unit h100:f32",
    "verilator --binary build/halfsim_dpi_pkg.sv bench.sv design.v $PWD/build/halfsim_dpi.o",
    "cc -shared -o libhalfsim_dpi.so build/halfsim_dpi.o",
)


@click.command(epilog=_EPILOG)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--operation", "names", multiple=True, metavar="NAME", help="An operation; by default the common ones.")
@click.option("--unit", "units", multiple=True, metavar="GPU:OUTPUT", help="A tensor core; by default three.")
def dpi(folder: Path, names: tuple[str, ...], units: tuple[str, ...]) -> None:
    """Write halfsim_dpi.o, its C header and its SystemVerilog package to FOLDER.

    The object file is the compiled core for this machine's architecture; it needs no Python. If only operations or only
    units are named, nothing else is included.
    """
    from halfsim.interop.dpi import OPERATIONS, UNITS, write_dpi

    chosen = (names, units) if names or units else (OPERATIONS, UNITS)
    with usage():
        for path in write_dpi(folder, *chosen):
            click.echo(path)
