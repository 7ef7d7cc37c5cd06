"""What is verified: an operation in one rounding and one tininess, cut into blocks of 2**20 rows."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.checks import near
from halfsim.testvectors.exhaustive import witness

__all__ = ["JOBS", "SIZE", "Block", "Job", "Mismatch", "check", "jobs"]

SIZE = 1 << 20
"""Rows of a block."""
TRIPLES = "fma"
_PIECE = 1 << 16
_EVERY = (1 << 32) // SIZE
_SHOWN = 20
_STOCHASTIC_BITS, _STOCHASTIC_SEED = 13, 7
_TININESS = {"after": hs.Tininess.afterRounding, "before": hs.Tininess.beforeRounding}
_ROUNDED = ("add", "subtract", "multiply", "divide", witness.NARROWING)
_UNDERFLOWING = (*_ROUNDED[2:], TRIPLES)
DETERMINISTIC = tuple(mode for mode in witness.MODES if mode != "stochastic")


@dataclass(frozen=True, slots=True)
class Job:
    """One operation in one mode, in RISC-V's environment.

    Parameters
    ----------
    operation : str
        One of the witness's two-operand operations, its narrowing conversion, or ``"fma"``.
    rounding : str
        Alias of the rounding, or ``"stochastic"`` (13 bits, seed 7, counter the row's number).
    tininess : str
        ``"after"`` or ``"before"``.

    Examples
    --------
    >>> from halfsim.testvectors.exhaustive import Job
    >>> Job("multiply", "rup").name
    'multiply-rup-after'
    """

    operation: str
    rounding: str = "rne"
    tininess: str = "after"

    @property
    def name(self) -> str:
        """Name in files and tables."""
        return f"{self.operation}-{self.rounding}-{self.tininess}"

    @property
    def sampled(self) -> bool:
        """Whether there are too many operands for all of them: triples."""
        return self.operation == TRIPLES

    @property
    def blocks(self) -> int:
        """Blocks of a full run: all 2**32 rows, or as many triples."""
        return _EVERY


JOBS = (
    *itertools.starmap(Job, itertools.product(_ROUNDED, DETERMINISTIC)),
    *itertools.starmap(Job, itertools.product(_ROUNDED[2:], DETERMINISTIC, ["before"])),
    *(Job(name) for name in witness.OPERATIONS if name not in _ROUNDED),
    *(Job(TRIPLES, mode, tininess) for mode in DETERMINISTIC for tininess in _TININESS),
)
"""Every job; exact operations round nothing, and only products, quotients and conversions can be tiny and inexact."""


_STOCHASTIC = tuple(Job(name, "stochastic") for name in _ROUNDED)


def jobs(operation: str, rounding: str = "all", tininess: str = "all") -> tuple[Job, ...]:
    """Return the jobs of an operation; ``"all"`` stands for every operation, rounding or tininess.

    Raises
    ------
    ValueError
        If there is no such job; the message lists what there is.
    """
    known = dict.fromkeys(job.operation for job in JOBS)
    if operation == "all":
        return _of(operation, rounding, tininess)
    if operation not in known:
        raise ValueError(f"verify: unknown operation {operation!r}; {near(operation, known)}")
    found = _of(operation, rounding, tininess)
    if not found:
        one = [job for job in (*JOBS, *_STOCHASTIC) if job.operation == operation]
        raise ValueError(
            f"verify: {operation} has no job with rounding {rounding!r} and tininess {tininess!r}; it has roundings "
            f"{', '.join(dict.fromkeys(job.rounding for job in one))}, and tininess "
            f"{', '.join(dict.fromkeys(job.tininess for job in one))}"
        )
    return found


def _of(operation: str, rounding: str, tininess: str) -> tuple[Job, ...]:
    known = JOBS if rounding == "all" else (*JOBS, *_STOCHASTIC)
    wanted = (operation, rounding, tininess)

    def matches(job: Job) -> bool:
        keys = (job.operation, job.rounding, job.tininess)
        return all(want in ("all", key) for want, key in zip(wanted, keys, strict=True))

    return tuple(job for job in known if matches(job))


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Operands on which halfsim and the witness differ."""

    operands: tuple[int, ...]
    got: int
    got_flags: int
    wanted: int
    wanted_flags: int

    def __str__(self) -> str:
        operands = ", ".join(f"{operand:#06x}" for operand in self.operands)
        return (
            f"({operands}): halfsim {self.got:#06x} flags {self.got_flags:#04x}, "
            f"witness {self.wanted:#06x} flags {self.wanted_flags:#04x}"
        )


@dataclass(frozen=True, slots=True)
class Block:
    """What became of a block.

    Parameters
    ----------
    number : int
        Which block of the job.
    digest : str
        SHA-256 of halfsim's results: all patterns, little-endian, then all flags.
    wrong : int
        Rows on which the witness differs.
    first : tuple of Mismatch
        The first of them.
    """

    number: int
    digest: str
    wrong: int = 0
    first: tuple[Mismatch, ...] = ()


def check(job: Job, number: int) -> Block:
    """Compute one block, compare every row with the witness, and digest it."""
    digest, all_flags = hashlib.sha256(), np.empty(SIZE, np.uint8)
    count, first = 0, list[Mismatch]()
    for start, operands in _pieces(job, number):
        if job.sampled:
            a, b, c = operands
            want, raised = witness.triples(a, b, c, job.rounding, job.tininess)
        else:
            settings = (job.rounding, job.tininess, _STOCHASTIC_SEED, _STOCHASTIC_BITS)
            want, raised = witness.pairs(job.operation, start, _PIECE, *settings)
        bits, flags = _results(job, start, operands)
        differs = np.flatnonzero((bits != want) | (flags != raised))
        count += differs.size
        first += [
            Mismatch(tuple(int(x[i]) for x in operands), int(bits[i]), int(flags[i]), int(want[i]), int(raised[i]))
            for i in differs[: _SHOWN - len(first)]
        ]
        digest.update(np.ascontiguousarray(bits, "<u2").data)
        all_flags[start % SIZE :][:_PIECE] = flags
    digest.update(all_flags.data)
    return Block(number, digest.hexdigest(), count, tuple(first))


def _pieces(job: Job, number: int) -> Iterator[tuple[int, tuple[NDArray[Any], ...]]]:
    """Give the number of a row and the operands from it on, a few at a time: larger arrays are new memory every time.

    Pair n is (n // 65536, n % 65536).
    """
    rows = range(number * SIZE, (number + 1) * SIZE, _PIECE)
    column = np.arange(_PIECE).astype(np.uint16)
    # Raw words of a counter-based generator: the same on every machine and in every version of NumPy.
    words = np.random.Philox(key=2026, counter=number << 32).random_raw(SIZE) if job.sampled else None
    for start in rows:
        if words is not None:
            some = words[start % SIZE :][:_PIECE]
            yield start, tuple((some >> np.uint64(shift)).astype(np.uint16) for shift in (0, 16, 32))
        elif job.operation == witness.NARROWING:
            yield start, (np.arange(start, start + _PIECE, dtype=np.uint32),)
        else:
            yield start, (np.full(_PIECE, start >> 16, np.uint16), column)


def _results(job: Job, start: int, operands: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    rounding: Any = job.rounding
    if rounding == "stochastic":
        rounding = hs.Stochastic(bits=_STOCHASTIC_BITS, seed=_STOCHASTIC_SEED, offset=start)
    settings = {
        "rounding": rounding,
        "environment": dataclasses.replace(hs.RISCV, tininess=_TININESS[job.tininess]),
    }
    value: NDArray[Any]
    if job.operation == witness.NARROWING:
        value, flags = hs.convert.flagged(operands[0].view(np.float32), hs.BINARY16, **settings)
    else:
        value, flags = getattr(hs, job.operation).flagged(*(x.view(np.float16) for x in operands), **settings)
    return (hs.to_bits(value) if value.dtype == np.float16 else value.astype(np.uint16)), flags
