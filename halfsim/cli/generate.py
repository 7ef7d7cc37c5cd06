"""`halfsim vectors generate`: test vectors of an operation, in the format that a bench reads."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from halfsim.cli.group import examples, usage
from halfsim.cli.settings import setting_of, setting_options, shard_option

if TYPE_CHECKING:
    from halfsim.testvectors.cases import Plan
    from halfsim.testvectors.coverage import Coverage
    from halfsim.testvectors.diagnosis import Setting

__all__ = ["bar", "generate"]

_ADD = "halfsim vectors generate add -o add.tv"
_FMA = "halfsim vectors generate fma --rounding rup --environment arm --level 2 -o fma.tv.gz"
_PIPE = "halfsim vectors generate f16_mul --format testfloat -o - | testfloat_ver f16_mul"
_TIES = "halfsim vectors generate divide --families halfway,tininess --list"
_NOTES = (
    "The format is that of the suffix: .tv ($readmemh), .txt (TestFloat), .mem (one file per column), .csv,",
    ".jsonl, .npz, .parquet; .gz compresses text. Beside .tv and .mem appears a file with the number of rows.",
    "A device or a named pipe gets the text as - would, and nothing beside it; a symbolic link stays one.",
)
_MEGA = 1 << 20


@click.command(epilog=examples(_ADD, _FMA, _PIPE, notes=_NOTES), short_help="Write test vectors of an operation.")
@click.argument("operation")
@setting_options
@click.option("--families", help="Families, or models of IBM (B12), separated by commas.  [default: all compact]")
@click.option("--level", type=click.Choice(["1", "2"]), default="1", show_default=True, help="Compact or large.")
@click.option("--count", type=click.IntRange(min=1), help="Rows of each random family.  [default: by the level]")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of random families.")
@shard_option
@click.option("--format", "fmt", help="Format, whatever the suffix: tv testfloat mem csv jsonl npz parquet.")
@click.option("--flags", "order", default="testfloat", show_default=True, help="Flag order: testfloat mxcsr fpsr.")
@click.option("--nan", type=click.Choice(["exact", "any"]), default="exact", show_default=True, help="any: add masks.")
@click.option("--list", "listed", is_flag=True, help="Print the families and their rows; write nothing.")
@click.option("--coverage", is_flag=True, help="Say which bins of the coverage model the rows hit and miss.")
@click.option("-o", "--out", help="The file; - is standard output.")
@click.option("--progress/--no-progress", default=True, help="Show a progress bar on standard error.")
def generate(operation: str, out: str | None, listed: bool, **options: Any) -> None:
    """Write test vectors of OPERATION, halfsim's name or TestFloat's: operands, result and flags, one row a line.

    The same seed and version give the same bytes on any machine. --list shows what the rows are for; `list` as
    OPERATION prints all operations.
    """
    if operation == "list":
        return _print_operations()
    with usage():
        setting = setting_of(operation, options)
        planned = _plan(setting, options)
    if listed:
        return _print_families(planned)
    if out is None:
        raise click.UsageError(f"-o FILE is missing; write e.g. -o {setting.subject.name}.tv, or -o - with --format")
    _write(planned, setting, None if out == "-" else Path(out), options)


def _plan(setting: Setting, options: dict[str, Any]) -> Plan:
    from halfsim.testvectors.cases import plan

    names = options["families"].split(",") if options["families"] else None
    settings = {"level": int(options["level"]), "seed": options["seed"], "count": options["count"]}
    return plan(setting.subject, names, **settings)


def _print_operations() -> None:
    from halfsim.explanation.parts import columns
    from halfsim.testvectors import SUBJECTS

    rows = [("operation", "TestFloat", "operands", "result")]
    rows += [(s.name, s.testfloat or "-", " ".join(s.operands), s.result) for s in SUBJECTS]
    click.echo("\n".join(columns(rows)))


def _print_families(planned: Plan) -> None:
    from halfsim.explanation.parts import columns
    from halfsim.testvectors.cases import family

    rows = [("family", "rows", "intention")]
    for name, source in zip(planned.families, planned.sources, strict=True):
        rows.append((name, f"{source.rows:,}", family(name).intention))
    click.echo("\n".join(columns([*rows, ("all", f"{planned.rows:,}", "")])))


def _write(planned: Plan, setting: Setting, path: Path | None, options: dict[str, Any]) -> None:
    from halfsim.testvectors.coverage import Coverage
    from halfsim.testvectors.formats import write
    from halfsim.testvectors.generate import header_of, rows_of

    shard, seed = options["shard"], options["seed"]
    measured = Coverage(setting.subject) if options["coverage"] else None
    with usage():
        header = header_of(planned, setting, seed=seed, shard=shard, flag_order=options["order"], nan=options["nan"])
        with bar(header.rows, options["progress"]) as advance:

            def seen(operands: Any, block: Any) -> None:
                if measured is not None:
                    measured.add(block.operands, block.result, block.flags)
                advance(len(block.result))

            count = write(path, header, rows_of(planned, setting, shard=shard, seen=seen), options["fmt"])
    if path is not None:
        click.echo(f"{count:,} rows of {setting.subject.name} in {path}")
    if measured is not None:
        _print_coverage(measured, setting)


def _print_coverage(measured: Coverage, setting: Setting) -> None:
    """Say on standard error, which stays free of rows, what was hit and missed."""
    from halfsim.testvectors.coverage import reachable

    bins = reachable(setting.subject, setting.rounding, setting.environment, setting.options)
    if bins is None:
        click.echo(f"coverage: {len(measured.hits)} bins hit; what is reachable here is not known", err=True)
        return
    missed = bins.missed(measured)
    total = len(bins.bins)
    click.echo(f"coverage: {total - len(missed)} of {total} reachable bins hit ({bins.share(measured):.2%})", err=True)
    click.echo(f"reachable bins: {bins.found}", err=True)
    for name in missed:
        click.echo(f"  missed: {name}", err=True)


@contextlib.contextmanager
def bar(rows: int, shown: bool, least: int = _MEGA) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error, for at least so many rows."""
    if not shown or rows < least:
        yield lambda steps: None
        return
    with click.progressbar(length=rows, label="rows", show_pos=True, file=sys.stderr) as bar:
        yield bar.update
