"""`halfsim vectors coverage`: which combinations of operands, results and flags vectors hit, can hit and cannot."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from halfsim.cli.group import examples, usage
from halfsim.cli.settings import setting_of, setting_options

if TYPE_CHECKING:
    from halfsim.testvectors.diagnosis import Setting

__all__ = ["coverage"]

_FMA = "halfsim vectors coverage fma --rounding rup --environment arm"
_ONE = "halfsim vectors coverage multiply --families uniform"
_WHY = "halfsim vectors coverage divide --reasons"
_NOTES = (
    "A bin is a choice of classes of the operands, a class of the result, and flags. Exit status 1: a reachable bin",
    "was missed. 2: usage.",
)


@click.command(epilog=examples(_FMA, _ONE, _WHY, notes=_NOTES), short_help="Which bins vectors hit, and can hit.")
@click.argument("operation")
@setting_options
@click.option("--families", help="Families of operands, separated by commas.  [default: all that are compact]")
@click.option("--level", type=click.Choice(["1", "2"]), default="1", show_default=True, help="Compact or large.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of random families.")
@click.option("--reasons", is_flag=True, help="For operands of every class: what they can give, and why nothing else.")
@click.option("--json", "as_json", is_flag=True, help="JSON output.")
def coverage(operation: str, reasons: bool, as_json: bool, **options: Any) -> None:
    """Report the bins of the coverage model that vectors of OPERATION hit, out of those that can be hit at all."""
    with usage():
        setting = setting_of(operation, options)
        report = _report(setting, options, reasons)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        click.echo("\n".join(_lines(report)))
    if report["missed"]:
        sys.exit(1)


def _report(setting: Setting, options: dict[str, Any], reasons: bool) -> dict[str, Any]:
    from halfsim.testvectors.cases import plan
    from halfsim.testvectors.coverage import measure, reachable, unreachable
    from halfsim.testvectors.formats import environment_name, rounding_name

    known, rounding, environment = setting.subject, setting.rounding, setting.environment
    names = options["families"].split(",") if options["families"] else None
    rows = plan(known, names, level=int(options["level"]), seed=options["seed"])
    bins = reachable(known, rounding, environment, setting.options)
    if bins is None:
        raise ValueError(
            "coverage: where subnormals are flushed or rounding is random nothing is known to be reachable"
        )
    hit = measure(known, rows.blocks(), rounding, environment, setting.options)
    head = {"rounding": rounding_name(rounding), "environment": environment_name(environment)}
    report = head | {"families": list(rows.families), "found": bins.found} | bins.to_dict(hit)
    if reasons:
        table = unreachable(known, rounding, environment)
        report["reasons"] = [{"operands": given, "possible": found, "reason": why} for given, found, why in table]
    return report


def _lines(report: dict[str, Any]) -> list[str]:
    lines = [
        f"{report['operation']}, {report['rounding']}, {report['environment']}: {report['hit']} of "
        f"{report['reachable']} reachable bins hit by {report['rows']:,} rows",
        f"reachable bins: {report['found']}",
        *(f"  missed: {name}" for name in report["missed"]),
    ]
    for row in report.get("reasons", ()):
        lines.append(f"  {row['operands']}: {', or '.join(row['possible'])}; {row['reason']}")
    return lines
