"""Compare contenders fairly on a busy machine: processor time, turn by turn, medians of the ratios within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["interleave", "median_ratio", "quartiles"]

Clock = Callable[[], float]


def interleave(
    calls: Mapping[str, Callable[[], object]],
    rounds: int = 7,
    slice_s: float = 0.01,
    clock: Clock = time.process_time,
) -> dict[str, list[float]]:
    """Measure the seconds per call of every contender, once a round.

    Parameters
    ----------
    calls : mapping of str to callable
        Who takes part. Each is called once untimed, as it may compile, and then often enough to fill a slice.
    rounds : int
        How often everybody has a turn: what slows the machine down meets all of them.
    slice_s : float
        Least seconds of a turn.
    clock : callable
        Seconds so far; by default those of the processor that this process has used, on all its threads.

    Returns
    -------
    dict of str to list of float
        A figure for every contender and round.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    repeats = {}
    for name, call in calls.items():
        call()
        repeats[name] = max(1, int(slice_s / max(_seconds(call, 1, clock), 1e-7)))
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(_seconds(call, repeats[name], clock) / repeats[name])
    return times


def median_ratio(times: Mapping[str, list[float]], ours: str, peer: str) -> float:
    """Return how many times faster the first is than the second: the median over the rounds."""
    return statistics.median(p / o for p, o in zip(times[peer], times[ours], strict=True))


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, statistics.median(values), high


def _seconds(call: Callable[[], object], repeats: int, clock: Clock) -> float:
    start = clock()
    for _ in range(repeats):
        call()
    return clock() - start
