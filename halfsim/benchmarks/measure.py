"""Measure a row: compare the answers, time everybody turn by turn, and weigh the memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import halfsim as hs
from halfsim.benchmarks.rows import OURS, Case, Contender, Row, Sizes
from halfsim.benchmarks.timing import Clock, interleave, quartiles

__all__ = ["Against", "Result", "differing", "measure"]

# Bytes of operands below which what a call needs is that of its own variables.
_FEW = 1 << 14


@dataclass(frozen=True, slots=True)
class Against:
    """halfsim beside one peer.

    Parameters
    ----------
    peer : str
        Its name.
    seconds : float
        Median time of one unit of its work.
    ratio, low, high : float
        How many times faster halfsim is: median and quartiles over the rounds.
    compared, differ : int
        Elements of its answer that were compared with halfsim's, and those that are others.
    floor, goal : float or None
        Least ratio allowed, and aimed at.
    note : str
        What it does otherwise.
    """

    peer: str
    seconds: float
    ratio: float
    low: float
    high: float
    compared: int
    differ: int
    floor: float | None
    goal: float | None
    note: str

    @property
    def verdict(self) -> str:
        """``goal``, ``floor`` or ``below``, by what the ratio reaches; empty without targets."""
        if self.floor is None or self.goal is None:
            return ""
        return "goal" if self.ratio >= self.goal else "floor" if self.ratio >= self.floor else "below"


@dataclass(frozen=True, slots=True)
class Result:
    """A measured row.

    Parameters
    ----------
    family, name, unit : str
        Those of the row.
    work : int
        Units of work of one call.
    rate : float
        Units of work per second of one thread's processor time.
    limit : str
        The peer that nothing can be faster than.
    roof : float
        Share of it: bytes per second over those of a copy, or work per second over that of sgemm.
    intensity : float
        Units of work per byte of operands and results.
    memory : float or None
        Most memory that a call took beside its result, over the operands; None where these are few.
    against : tuple of Against
        The peers.
    """

    family: str
    name: str
    unit: str
    work: int
    rate: float
    limit: str
    roof: float
    intensity: float
    memory: float | None
    against: tuple[Against, ...]


def measure(row: Row, sizes: Sizes, rounds: int = 7, slice_s: float = 0.01, clock: Clock | None = None) -> Result:
    """Measure a row with operands of given sizes.

    Parameters
    ----------
    row : Row
        What to measure.
    sizes : Sizes
        How large the operands are.
    rounds : int
        Turns of everybody.
    slice_s : float
        Least seconds of a turn.
    clock : callable, optional
        Seconds so far; the processor time of this process by default.

    Returns
    -------
    Result
        Ratios above 1: halfsim is faster.
    """
    case = row.make(sizes)
    everybody = [case.ours, *case.peers]
    with np.errstate(all="ignore"), _one_thread():
        mine = _answer(case.ours)
        checks = {peer.name: _check(mine, peer) for peer in case.peers}
        memory = _extra_memory(case)
        calls = {contender.name: contender.call for contender in everybody}
        times = interleave(calls, rounds, slice_s, clock) if clock else interleave(calls, rounds, slice_s)
    unit = {c.name: [seconds / c.work for seconds in times[c.name]] for c in everybody}
    against = []
    for peer in case.peers:
        low, ratio, high = quartiles([p / o for p, o in zip(unit[peer.name], unit[OURS], strict=True)])
        floor, goal = row.targets.get(peer.name, (None, None))
        seconds = quartiles(unit[peer.name])[1]
        against.append(Against(peer.name, seconds, ratio, low, high, *checks[peer.name], floor, goal, peer.note))
    roof = next(peer for peer in case.peers if peer.name == case.roof)
    weights = (case.ours.bytes, roof.bytes) if case.by_bytes else (case.ours.work, roof.work)
    shares = [r * weights[0] / (o * weights[1]) for r, o in zip(times[roof.name], times[OURS], strict=True)]
    return Result(
        row.family,
        row.name,
        row.unit,
        case.ours.work,
        1 / quartiles(unit[OURS])[1],
        roof.name,
        quartiles(shares)[1],
        case.ours.work / case.ours.bytes,
        memory,
        tuple(against),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    before = hs.get_num_threads()
    hs.set_num_threads(1)
    try:
        yield
    finally:
        hs.set_num_threads(before)


def differing(mine: NDArray[Any], theirs: NDArray[Any]) -> int:
    """Count the elements that are not the same number: zeros of other signs differ, NaNs do not."""
    if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
        raise ValueError(
            f"differing: {theirs.dtype} {theirs.shape} is no answer like {mine.dtype} {mine.shape}; correct the row"
        )
    if mine.dtype.kind != "f":
        return int(np.count_nonzero(mine != theirs))
    same = (mine == theirs) & (np.signbit(mine) == np.signbit(theirs))
    return int(np.count_nonzero(~(same | (np.isnan(mine) & np.isnan(theirs)))))


def _answer(contender: Contender) -> NDArray[Any]:
    assert contender.answer is not None
    # A copy: the next call writes into the same array.
    return np.array(contender.answer(contender.call()))


def _check(mine: NDArray[Any], peer: Contender) -> tuple[int, int]:
    """Return how many elements of a peer's answer were compared, and how many differ."""
    if peer.answer is None:
        return 0, 0
    theirs = _answer(peer)
    return theirs.size, differing(mine[peer.part], theirs)


def _extra_memory(case: Case) -> float | None:
    """Return the most memory that a call took beyond its result, over the operands."""
    if case.operands < _FEW:
        return None
    call = case.ours.call
    call()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        made = call()
        kept, peak = tracemalloc.get_traced_memory()
        del made
    finally:
        tracemalloc.stop()
    return max(0, peak - max(kept, before)) / case.operands
