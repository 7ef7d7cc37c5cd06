"""What is verified: an operation in one rounding and one tininess, cut into blocks of 2**20 rows."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.testvectors.exhaustive import witness

__all__ = ["JOBS", "SIZE", "Block", "Job", "Mismatch", "check", "jobs"]

SIZE = 1 << 20
"""Rows of a block."""
TRIPLES = "fma"
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
        raise ValueError(f"verify: unknown operation {operation!r}; known are {', '.join(known)}")
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
    operands = _operands(job, number)
    if job.sampled:
        a, b, c = operands
        want, raised = witness.triples(a, b, c, job.rounding, job.tininess)
    else:
        start = number * SIZE
        settings = (job.rounding, job.tininess, _STOCHASTIC_SEED, _STOCHASTIC_BITS)
        want, raised = witness.pairs(job.operation, start, SIZE, *settings)
    bits, flags = _results(job, number, operands)
    differs = np.flatnonzero((bits != want) | (flags != raised))
    first = tuple(
        Mismatch(tuple(int(x[i]) for x in operands), int(bits[i]), int(flags[i]), int(want[i]), int(raised[i]))
        for i in differs[:_SHOWN]
    )
    digest = hashlib.sha256(np.ascontiguousarray(bits, "<u2").data)
    digest.update(flags.data)
    return Block(number, digest.hexdigest(), int(differs.size), first)


def _operands(job: Job, number: int) -> tuple[NDArray[Any], ...]:
    """Return the operand patterns of a block: pair n is (n // 65536, n % 65536)."""
    if job.sampled:
        # Raw words of a counter-based generator: the same on every machine and in every version of NumPy.
        words = np.random.Philox(key=2026, counter=number << 32).random_raw(SIZE)
        return tuple((words >> np.uint64(shift)).astype(np.uint16) for shift in (0, 16, 32))
    if job.operation == witness.NARROWING:
        return (np.arange(number * SIZE, (number + 1) * SIZE, dtype=np.uint32),)
    first = np.arange(number * SIZE >> 16, (number + 1) * SIZE >> 16).astype(np.uint16)
    return np.repeat(first, 1 << 16), _second_operands()


@lru_cache(maxsize=1)
def _second_operands() -> NDArray[np.uint16]:
    """Return the second operand of every pair of a block: those of all blocks are the same."""
    return np.tile(np.arange(1 << 16).astype(np.uint16), SIZE >> 16)


def _results(job: Job, number: int, operands: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    rounding: Any = job.rounding
    if rounding == "stochastic":
        rounding = hs.Stochastic(bits=_STOCHASTIC_BITS, seed=_STOCHASTIC_SEED, offset=number * SIZE)
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
