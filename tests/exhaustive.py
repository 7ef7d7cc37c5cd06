"""All 2**32 inputs of an operation on two binary16 numbers, or on one binary32, against native arithmetic.

``python -m tests.exhaustive`` runs the list of jobs below, ``python -m tests.exhaustive add --rounding rne`` one.
Progress is kept in a file, so that an interrupted run goes on where it stopped; a change of the package's sources
starts it anew. The exit status is 1 when an input disagrees.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

import halfsim as hs
from tests.oracles import native

UNIT = 1 << 20
UNITS = (1 << 32) // UNIT
DETERMINISTIC = [mode for mode in native.MODES if mode != "stochastic"]
STOCHASTIC_BITS, STOCHASTIC_SEED = 13, 7
_TININESS = {"after": hs.Tininess.afterRounding, "before": hs.Tininess.beforeRounding}
_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Job:
    """One operation in one mode; only products and quotients can be tiny and inexact."""

    name: str
    rounding: str = "rne"
    tininess: str = "after"

    def __str__(self) -> str:
        return f"{self.name} {self.rounding} {self.tininess}"


_ROUNDED = ["add", "subtract", "multiply", "divide", native.NARROWING]
_UNDERFLOWING = _ROUNDED[2:]
JOBS = [
    *itertools.starmap(Job, itertools.product(_ROUNDED, DETERMINISTIC)),
    *itertools.starmap(Job, itertools.product(_UNDERFLOWING, DETERMINISTIC, ["before"])),
    *(Job(name) for name in native.OPERATIONS if name not in _ROUNDED),
]


class Progress:
    """Which units of which job are done, in a file that is replaced as a whole."""

    def __init__(self, path: Path, restart: bool) -> None:
        self.path = path
        self.digest = _source_digest()
        self.done: dict[str, set[int]] = {}
        self._written = 0.0
        if path.exists() and not restart:
            stored = json.loads(path.read_text())
            if stored["sources"] == self.digest:
                self.done = {job: _from_bitmap(text) for job, text in stored["done"].items()}

    def add(self, job: Job, unit: int) -> None:
        self.done.setdefault(str(job), set()).add(unit)
        if time.monotonic() - self._written > 2:
            self.write()

    def write(self) -> None:
        """Replace the file, so that a crash leaves the old or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"sources": self.digest, "done": {job: _to_bitmap(u) for job, u in self.done.items()}})
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(text)
        os.replace(temporary, self.path)
        self._written = time.monotonic()


def _to_bitmap(units: set[int]) -> str:
    return f"{sum(1 << unit for unit in units):x}"


def _from_bitmap(text: str) -> set[int]:
    bits = int(text, 16)
    return {unit for unit in range(UNITS) if bits >> unit & 1}


def _source_digest() -> str:
    """Digest of what a result depends on: the front door and everything below it, and the oracle."""
    package = Path(hs.__file__).parent
    sources = [path for pattern in ("*.py", "core/*.py", "kernels/*.py") for path in package.glob(pattern)]
    sources.append(Path(native.__file__))
    digest = hashlib.sha256()
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def check_unit(job: Job, unit: int) -> list[str]:
    """Compare one unit: a line for each disagreement, with the operands in hex."""
    start = unit * UNIT
    want, raised = native.pairs(job.name, start, UNIT, job.rounding, job.tininess, STOCHASTIC_SEED, STOCHASTIC_BITS)
    numbers = np.arange(start, start + UNIT, dtype=np.int64)
    operands: tuple[Any, ...]
    if job.name == native.NARROWING:
        operation: Any = hs.convert
        operands = numbers.astype(np.uint32).view(np.float32), hs.BINARY16
    else:
        operation = getattr(hs, job.name)
        operands = hs.from_bits((numbers >> 16).astype(np.uint16)), hs.from_bits((numbers & 0xFFFF).astype(np.uint16))
    rounding: Any = job.rounding
    if rounding == "stochastic":
        rounding = hs.Stochastic(bits=STOCHASTIC_BITS, seed=STOCHASTIC_SEED, offset=start)
    settings = {
        "rounding": rounding,
        "environment": dataclasses.replace(hs.RISCV, tininess=_TININESS[job.tininess]),
    }
    value, flags = operation.flagged(*operands, **settings)
    alone = operation(*operands, **settings)
    bits, without = (hs.to_bits(x) if x.dtype == np.float16 else x for x in (value, alone))
    wrong = np.flatnonzero((bits != want) | (flags != raised) | (without != want))
    return [
        f"{job}: ({numbers[i] >> 16:#06x}, {numbers[i] & 0xFFFF:#06x}) expected {int(want[i]):#06x} flags {raised[i]}, "
        f"got {int(bits[i]):#06x} flags {flags[i]}, {int(without[i]):#06x} without flags"
        for i in wrong[: _SHOWN + 1]
    ]


def _ordered(job: Job, shard: tuple[int, int], progress: Progress) -> list[int]:
    """Units still to do, spread over the operands so that an early look has seen every exponent."""
    index, count = shard
    done = progress.done.get(str(job), set())
    stride = 1021  # prime to the number of units
    return [u for n in range(UNITS) if (u := n * stride % UNITS) % count == index - 1 and u not in done]


def run_job(job: Job, units: list[int], progress: Progress, workers: int) -> list[str]:
    """Check units on a thread pool; those without a disagreement are recorded."""
    problems: list[str] = []
    with (
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
        click.progressbar(length=len(units), label=f"{job!s:32}", show_eta=True, file=sys.stderr) as bar,
    ):
        for batch in _batches(units, 4 * workers):
            results = pool.map(check_unit, itertools.repeat(job), batch)
            for unit, lines in zip(batch, results, strict=True):
                if lines:
                    problems += lines
                else:
                    progress.add(job, unit)
                bar.update(1)
            if len(problems) > _SHOWN:
                break
    progress.write()
    return problems


def _batches(units: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(units), size):
        yield units[start : start + size]


def _shard(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
        raise click.BadParameter(f"{text!r} is not of the form 1/4", context, parameter)
    return int(index), int(count)


@click.command(epilog="Example: python -m tests.exhaustive divide --rounding odd --tininess before --shard 1/8")
@click.argument("operation", required=False, type=click.Choice(native.OPERATIONS))
@click.option("--rounding", type=click.Choice(list(native.MODES)), default="rne", show_default=True)
@click.option("--tininess", type=click.Choice(list(_TININESS)), default="after", show_default=True)
@click.option("--shard", default="1/1", callback=_shard, help="Check only part I of N, as I/N.")
@click.option("--units", type=click.IntRange(1, UNITS), help="Stop each job after so many blocks of 2**20 inputs.")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count(), show_default="processors")
@click.option(
    "--progress-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("runs/exhaustive.json"),
    show_default=True,
)
@click.option("--restart", is_flag=True, help="Forget earlier progress.")
def main(
    operation: str | None,
    rounding: str,
    tininess: str,
    shard: tuple[int, int],
    units: int | None,
    workers: int,
    progress_file: Path,
    restart: bool,
) -> None:
    """Check all 2**32 inputs of OPERATION, values and flags, or of every job in the list."""
    jobs = [Job(operation, rounding, tininess)] if operation else JOBS
    progress = Progress(progress_file, restart)
    hs.set_num_threads(1)  # the pool below keeps the processors busy
    problems: list[str] = []
    for job in jobs:
        todo = _ordered(job, shard, progress)
        found = run_job(job, todo[:units], progress, workers) if todo else []
        done = len(progress.done.get(str(job), ()))
        click.echo(f"{job!s:32} {done} of {UNITS} blocks agree" + (f", {len(found)} inputs disagree" if found else ""))
        for line in found[:_SHOWN]:
            click.echo(line)
        problems += found
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
