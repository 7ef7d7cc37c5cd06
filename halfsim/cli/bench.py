"""`halfsim bench`: halfsim beside its peers, in one process."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from halfsim.checks import near
from halfsim.cli.group import FAILED, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from halfsim.benchmarks import Result, Row, Sizes

__all__ = ["bench"]

_EPILOG = examples(
    "halfsim bench",
    "halfsim bench --only convert --only call --rounds 15",
    "halfsim bench --only 'tensor cores' --out runs/bench-units --check",
)
# A column of random binary64 numbers of 8 GB: more would be a machine's whole memory, or a typing error.
_SIZE, _ORDER = click.IntRange(100, 10**9), click.IntRange(16, 30_000)


@click.command(epilog=_EPILOG)
@click.option("--only", "families", multiple=True, metavar="FAMILY", help="A family of rows; 'list' prints them.")
@click.option("--size", default=1_000_000, show_default=True, type=_SIZE, help="Elements of an operand.")
@click.option("--order", default=512, show_default=True, type=_ORDER, help="M = N = K of products.")
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(min=1), help="Turns of every contender.")
@click.option(
    "-o",
    "--out",
    default=Path("runs/bench"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of bench.json, roofline.svg and roofline.png.",
)
@click.option("--check", is_flag=True, help="Exit with 1 where a ratio is below its floor, or memory above its limit.")
@click.option("--progress/--no-progress", default=True, help="Show a progress bar on standard error.")
def bench(
    families: tuple[str, ...], size: int, order: int, rounds: int, out: Path, check: bool, progress: bool
) -> int | None:
    """Measure halfsim beside NumPy and whichever peers are installed, and say how near the hardware's limits it is.

    Answers are compared first. Then everybody works in turn, on one thread, and processor time is counted; the ratios
    are medians over the rounds, above 1 where halfsim is faster. Ctrl-C keeps the families that are finished.
    """
    # Before NumPy is imported: the peers' threads would spin in other contenders' turns.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    from halfsim import benchmarks
    from halfsim.benchmarks import FAMILIES, ROWS, document, missed, table

    if "list" in families:
        click.echo("\n".join(FAMILIES))
        return None
    for name in families:
        if name not in FAMILIES:
            raise click.UsageError(f"unknown family {name!r}; {near(name, FAMILIES)}")
    rows = [row for row in ROWS if not families or row.family in families]
    sizes, usual = benchmarks.Sizes(size, order), benchmarks.Sizes()
    if check and sizes != usual:
        raise click.UsageError(
            f"--check: floors hold for --size {usual.elements} and --order {usual.order} alone; drop --check or these"
        )
    out.mkdir(parents=True, exist_ok=True)
    results, unfinished = _measured(rows, sizes, rounds, progress)
    if unfinished and not results:
        raise KeyboardInterrupt
    click.echo(table(results))
    (out / "bench.json").write_text(json.dumps(document(results, sizes, rounds, unfinished), indent=1) + "\n")
    if unfinished:
        click.echo(f"\n{out / 'bench.json'}\n\nInterrupted: {', '.join(unfinished)} not finished, and not shown.")
        raise KeyboardInterrupt
    click.echo(f"\n{out / 'bench.json'}{_picture(results, sizes, out)}")
    below = missed(results)
    click.echo("\n".join(["", "Below the floor:", *below]) if below else "\nNo ratio is below its floor.")
    return FAILED if check and below else None


def _measured(rows: Sequence[Row], sizes: Sizes, rounds: int, progress: bool) -> tuple[list[Result], list[str]]:
    """Measure rows until Ctrl-C; return the results of whole families, and the families that are none."""
    from halfsim.benchmarks import measure

    results: list[Result] = []
    with contextlib.suppress(KeyboardInterrupt), _bar(rows) if progress else contextlib.nullcontext(rows) as shown:
        for row in shown:
            results.append(measure(row, sizes, rounds))
    unfinished = list(dict.fromkeys(row.family for row in rows[len(results) :]))
    return [result for result in results if result.family not in unfinished], unfinished


def _bar(rows: Sequence[Row]) -> Any:
    return click.progressbar(
        rows,
        label="measuring",
        file=sys.stderr,
        item_show_func=lambda row: f"{row.family}: {row.name}" if row else "",
        width=30,
    )


def _picture(results: Sequence[Result], sizes: Sizes, out: Path) -> str:
    """Draw the roofline; return the names of its files, for the reader."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        click.echo("no picture: matplotlib is not installed (pip install 'halfsim[studies]')", err=True)
        return ""
    from halfsim.benchmarks.roof import roofs, series
    from halfsim.plotting import roofline

    figure: Any = Figure(figsize=(8, 6.5), layout="constrained")
    bandwidth, peak = roofs(*sizes)
    points, ours = series(results)
    roofline(figure.subplots(), points, bandwidth=bandwidth, peak=peak, ours=ours)
    files = [out / f"roofline.{kind}" for kind in ("svg", "png")]
    for file in files:
        figure.savefig(file, dpi=150)
    return "".join(f"\n{file}" for file in files)
