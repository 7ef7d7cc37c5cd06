"""`halfsim verify`: every pair of operands against a witness, on one machine or many."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from halfsim.cli.group import FAILED, Group, examples, usage
from halfsim.cli.running import address, running
from halfsim.cli.settings import shard_option

if TYPE_CHECKING:
    from halfsim.executors import Workers
    from halfsim.testvectors.exhaustive import Block, Digests, Job, Store

__all__ = ["verify"]

_FOLDER = Path("runs/verify")
_ONE = "halfsim verify exhaustive --op multiply --rounding all"
_MANY = "halfsim verify exhaustive --op divide --scheduler tcp://localhost:8786"
_PART = "halfsim verify exhaustive --op add --rounding rup --shard 1/8"
_SHOWN = 10


class _Doubts(NamedTuple):
    """Parts of a job that differed from a table, and their stored blocks that became others when computed again."""

    parts: list[range]
    changed: list[int]


@click.group(cls=Group, epilog=examples(_ONE, _MANY))
def verify() -> None:
    """Verify operations on every pair of operands against a witness that shares no code with halfsim."""


@verify.command(
    epilog=examples(
        _ONE,
        _PART,
        _MANY,
        notes=(
            "Interrupted or killed, the same command goes on where it stopped; wrong blocks are computed again.",
            "Several --shard parts may run at once into one folder.",
            "Parts that differ from --digests are computed again, to tell a damaged log from other results.",
            "A cluster: run `dask scheduler` on one machine and `dask worker tcp://HOST:8786` on the others,",
            "with the same halfsim installed on all.",
            "Exit status: 0 all blocks agree, 1 a block does not, 2 wrong usage.",
        ),
    )
)
@click.option("--op", "operation", required=True, help="Operation, 'all', or 'list' to print the jobs.")
@click.option("--rounding", default="all", show_default=True, help="rne rtz rdn rup rna odd stochastic, or all but it.")
@click.option("--tininess", default="all", show_default=True, type=click.Choice(["after", "before", "all"]))
@click.option("--blocks", type=click.IntRange(min=1), help="Stop each job after so many blocks of 2**20 rows.")
@shard_option
@click.option("-j", "--workers", type=click.IntRange(min=1), help="Local processes.  [default: one per core]")
@click.option(
    "--scheduler", callback=address, help="Address of a Dask scheduler, tcp://HOST:8786, instead of local processes."
)
@click.option("-o", "--out", type=click.Path(file_okay=False, path_type=Path), default=_FOLDER, show_default=True)
@click.option("--digests", type=click.Path(dir_okay=False, path_type=Path), help="Compare with this table of digests.")
@click.option("--sign", is_flag=True, help="Enter finished jobs in the table given by --digests.")
@click.option("--progress/--no-progress", default=True, help="Show a progress bar on standard error.")
def exhaustive(operation: str, rounding: str, tininess: str, **options: Any) -> int:
    """Verify all 2**32 pairs of an operation, values and flags, block by block; of fma, random triples.

    Every block is compared row by row with the witness, binary64 hardware arithmetic and a rounding written for it,
    and digested with SHA-256. Digests of all blocks make the digest of the job, which any machine must reproduce.
    """
    from halfsim.testvectors.exhaustive import JOBS, jobs

    if operation == "list":
        click.echo("\n".join(job.name for job in JOBS))
        return 0
    if options["sign"] and not options["digests"]:
        raise click.UsageError("--sign needs --digests FILE, the table to enter jobs in")
    with usage():
        chosen = jobs(operation, rounding, tininess)
    with _workers(options["workers"], options["scheduler"]) as workers:
        failed = [job for job in chosen if _verify(job, workers, options)]
    return FAILED if failed else 0


def _verify(job: Job, workers: Workers, options: dict[str, Any]) -> bool:
    """Run one job; return whether anything is wrong."""
    from halfsim.testvectors.exhaustive import Store, compare, load, ordered

    path = options["digests"]
    with usage():
        wanted = load(path).get(job.name) if path else None
    with Store(options["out"], job) as store:
        unfinished = (number for number in ordered(job, options["shard"]) if number not in store.done)
        todo = list(dict.fromkeys((*store.wrong, *unfinished)))[: options["blocks"]]
        _compute(job, todo, store, workers, options["progress"])
        store.refresh()  # another part of the job may be running beside this one
        # What was computed just now needs no second look: only stored blocks may have been damaged since.
        parts = compare(job, store.done, wanted) if wanted else []
        doubted = {number: store.done[number] for part in parts for number in part if number not in todo}
        _compute(job, list(doubted), store, workers, options["progress"])
    wrong = [block for block in store.done.values() if block.wrong]
    click.echo(f"{job.name:32} {len(store.done) - len(wrong)} of {job.blocks} blocks agree with the witness")
    if store.unreadable:
        click.echo(f"  {store.path}: lines that could not be read: {store.unreadable}; their blocks count as not done")
    _report(wrong)
    changed = [number for number, block in doubted.items() if store.done[number].digest != block.digest]
    return _digests(job, store.done, path, options["sign"], _Doubts(parts, changed)) or bool(wrong)


def _compute(job: Job, numbers: list[int], store: Store, workers: Workers, progress: bool) -> None:
    from halfsim.testvectors.exhaustive import compute

    with _bar(job, len(numbers), progress) as advance:
        for block in compute(workers, job, numbers):
            store.add(block)
            advance(1)


@contextlib.contextmanager
def _workers(count: int | None, scheduler: str | None) -> Iterator[Workers]:
    """Give the workers; their errors take one line."""
    from halfsim.executors import Workers, dask_executor, processes

    count = count or os.cpu_count() or 1
    # A cluster has more workers than this machine has cores: keep all of them busy.
    make = functools.partial(dask_executor, scheduler) if scheduler else functools.partial(processes, count)
    with running(scheduler), Workers(make, 64 if scheduler else 2 * count) as workers:
        yield workers


def _bar(job: Job, length: int, shown: bool) -> Any:
    if not shown or not length:
        return contextlib.nullcontext(lambda steps: None)
    bar = click.progressbar(length=length, label=f"{job.name:32}", show_eta=True, file=sys.stderr)
    return _updating(bar)


@contextlib.contextmanager
def _updating(bar: Any) -> Any:
    with bar as shown:
        yield shown.update


def _report(wrong: Iterable[Block]) -> None:
    """Name wrong blocks, and the first operands in each."""
    for block in sorted(wrong, key=lambda block: block.number)[:_SHOWN]:
        click.echo(f"  block {block.number}: {block.wrong} rows differ")
        for mismatch in block.first[:_SHOWN]:
            click.echo(f"    {mismatch}")


def _digests(job: Job, done: dict[int, Block], path: Path | None, sign: bool, doubts: _Doubts) -> bool:
    """Compare with a table of digests, or enter the job in it; return whether they differ."""
    from halfsim.testvectors.exhaustive import load, save, summary

    found = summary(job, done)
    if found is not None:
        click.echo(f"  SHA-256 {found.root} of {found.rows:,} rows")
    if path is None:
        return False
    table = load(path)
    if job.name in table:
        return _differing(job, done, table[job.name], path, doubts)
    if sign and found is not None:
        save(path, {**table, job.name: found})
        click.echo(f"  entered in {path}")
    else:
        click.echo(f"  {path} has no digest of this job")
    return False


def _differing(job: Job, done: dict[int, Block], wanted: Digests, path: Path, doubts: _Doubts) -> bool:
    """Say which parts differ from a table, now that their blocks were computed again; return whether any does."""
    from halfsim.testvectors.exhaustive import compare

    differing = compare(job, done, wanted)
    for part in doubts.parts:
        where = f"blocks {part.start} to {part.stop - 1}"
        damaged = ", ".join(str(number) for number in doubts.changed if number in part)
        if damaged:
            click.echo(f"  block {damaged}: computed again, the digest is not the stored one: the log was damaged")
        if part not in differing:
            click.echo(f"  {where}, computed again, do not differ from {path}")
        elif wrong := [number for number in part if done[number].wrong]:
            click.echo(f"  {where} differ from {path}: block {', '.join(map(str, wrong))}, whose rows are above")
        else:
            click.echo(
                f"  {where} differ from {path}, but agree with the witness: the table is of other results; "
                "it has one digest for the part, so which of its blocks differ cannot be told"
            )
    if not differing:
        click.echo(f"  no finished part differs from {path}")
    return bool(differing)
