"""Options that several commands share: rounding, environment, parts of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from halfsim.environment import Environment
    from halfsim.testvectors.diagnosis import Setting

__all__ = ["ENVIRONMENTS", "environment_of", "setting_of", "setting_options", "shard_option"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
ENVIRONMENTS = ("ieee", "riscv", "arm", "arm_default_nan", "x86", "cuda")
"""Names of the environments."""


def _shard(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise click.BadParameter(f"{text!r} is not I/N with 1 <= I <= N, such as 1/4", context, parameter)
    return int(index), int(count)


shard_option = click.option("--shard", default="1/1", callback=_shard, help="Do only part I of N, as I/N.")
"""``--shard I/N``."""

_OPTIONS = (
    click.option("-r", "--rounding", help="rne rna rtz rup rdn odd, or stochastic:BITS:SEED.  [default: rne]"),
    click.option("--environment", type=click.Choice(ENVIRONMENTS, case_sensitive=False), help="[default: riscv]"),
    click.option("--tininess", type=click.Choice(["after", "before"]), help="Instead of the environment's."),
    click.option("--flush-inputs", is_flag=True, help="Subnormal operands are read as zeros."),
    click.option("--flush-results", is_flag=True, help="Tiny results are replaced by zeros."),
    click.option("--exact", is_flag=True, help="To integers: raise inexact."),
    click.option("--saturate", is_flag=True, help="To formats without infinity: overflow to the largest number."),
)


def setting_options(command: _Command) -> _Command:
    """Add the options that say how results are computed."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def setting_of(operation: str, options: dict[str, Any], base: Setting | None = None) -> Setting:
    """Return the setting that options describe; what is not given is that of `base`, or rne and RISC-V's.

    Raises
    ------
    ValueError
        For an unknown operation or rounding, or an option that the operation does not have.
    """
    from halfsim.environment import RISCV
    from halfsim.testvectors import subject
    from halfsim.testvectors.diagnosis import Setting
    from halfsim.testvectors.formats import rounding_of

    known = subject(operation, "operation")
    setting = base or Setting(known, rounding_of("rne"), RISCV)
    chosen = tuple(name for name in ("exact", "saturate") if options[name])
    for name in chosen:
        if name not in known.options:
            raise ValueError(f"--{name} does not apply to {known.name}")
    return replace(
        setting,
        rounding=rounding_of(options["rounding"], "--rounding") if options["rounding"] else setting.rounding,
        environment=environment_of(setting.environment, options),
        options=chosen or setting.options,
    )


def environment_of(row: Environment, options: dict[str, Any]) -> Environment:
    """Return the environment that options describe; what is not given is that of `row`."""
    from halfsim import environment as presets

    if options["environment"]:
        row = getattr(presets, options["environment"].upper())
    if options["tininess"]:
        row = replace(row, tininess=presets.Tininess[f"{options['tininess']}Rounding"])
    return replace(
        row,
        flush_inputs=row.flush_inputs or options["flush_inputs"],
        flush_results=row.flush_results or options["flush_results"],
    )
