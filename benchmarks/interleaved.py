"""Compare contenders fairly on a busy machine: processor time, turn by turn, medians of the ratios within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["interleave", "rate", "ratio"]


def interleave(
    contenders: Mapping[str, Callable[[], object]], rounds: int = 9, slice_s: float = 0.01
) -> dict[str, list[float]]:
    """Seconds of processor time per call: one figure for every contender and round.

    Each is called once untimed (it may compile) and then often enough to fill a slice.
    """
    calls = {}
    for name, call in contenders.items():
        call()
        once = _seconds(call, 1)
        calls[name] = max(1, int(slice_s / max(once, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            times[name].append(_seconds(call, calls[name]) / calls[name])
    return times


def ratio(times: Mapping[str, list[float]], ours: str, peer: str) -> float:
    """How many times faster we are: the median over rounds."""
    return statistics.median(p / o for p, o in zip(times[peer], times[ours], strict=True))


def rate(times: Mapping[str, list[float]], name: str, size: int) -> float:
    """Median rate in millions of elements per second."""
    return size / statistics.median(times[name]) / 1e6


def _seconds(call: Callable[[], object], calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        call()
    return time.process_time() - start
