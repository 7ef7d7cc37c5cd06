"""Which loss scales keep gradients inside binary16, read off their histograms.

A histogram has the bins of `halfsim.kernels.census`: exact zeros, then unit bins of floor(log2|g|), then Inf and NaN.
In binary16, with S a power of two, S g becomes zero when its magnitude is at most 2**-25, and infinite from 65520 up.
Both ends are a hair beside a power of two, which no unit bin can see: a gradient of exactly 2**-25 / S counts as kept,
and the largest is taken not to lie in the last 1/4096 below a power of two.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from halfsim.kernels.census import BINS, LOWEST

__all__ = ["required_scale", "required_scales"]

_SMALLEST, _LARGEST = -25, 15  # floor(log2) of the numbers that binary16 rounds to its smallest and its largest
_SHARES = (0.99, 0.999)


def required_scale(counts: Sequence[int], share: float = 0.999) -> dict[str, Any]:
    """Return which loss scales a tensor class needs and bears, from a histogram of its gradients without any scale.

    Parameters
    ----------
    counts : sequence of int
        Numbers of elements in the bins of `halfsim.kernels.census`.
    share : float
        Which share of the nonzero finite gradients is to stay nonzero, above 0 and at most 1.

    Returns
    -------
    dict
        ``nonzero``: how many finite ones there are; ``magnitude``: the power of two at or below the largest of them;
        ``smallest``: the smallest scale, a power of two, that keeps the share; ``largest``: the largest one without
        overflow. Each of the last three is None when the outermost bin hides the answer, or there are no gradients.

    Raises
    ------
    ValueError
        If there are not as many bins as `halfsim.kernels.census` has, one is below zero, or the share is none.

    Examples
    --------
    >>> from halfsim.kernels.census import BINS, LOWEST
    >>> from halfsim.training.accounting import required_scale
    >>> counts = [0] * BINS
    >>> counts[1 - 30 - LOWEST], counts[1 - 3 - LOWEST] = 90, 10  # 90 gradients near 2**-30 and 10 near 2**-3
    >>> required_scale(counts)
    {'nonzero': 100, 'magnitude': 0.125, 'smallest': 32.0, 'largest': 262144.0}
    """
    if len(counts) != BINS:
        raise ValueError(f"required_scale: counts has {len(counts)} bins; pass the {BINS} bins of kernels.census")
    if not 0 < share <= 1:
        raise ValueError(f"required_scale: share={share!r} must lie above 0 and be at most 1")
    if min(counts) < 0:
        raise ValueError(f"required_scale: counts has {min(counts)}, below zero; pass how many fell into each bin")
    finite = [int(count) for count in counts[1:-1]]
    nonzero = sum(finite)
    highest = max((i for i, count in enumerate(finite) if count), default=0) + LOWEST
    # The outermost bins are open: what lies in them has no known exponent.
    is_known = nonzero > 0 and LOWEST < highest < LOWEST + len(finite) - 1
    lowest = _lowest_kept(finite, math.ceil(share * nonzero))
    return {
        "nonzero": nonzero,
        "magnitude": 2.0**highest if is_known else None,
        "smallest": None if lowest is None else 2.0 ** (_SMALLEST - lowest),
        "largest": 2.0 ** (_LARGEST - highest) if is_known else None,
    }


def _lowest_kept(finite: list[int], wanted: int) -> int | None:
    """Return the highest exponent at and above which there are as many gradients as wanted."""
    kept = 0
    for i in range(len(finite) - 1, 0, -1):  # the open lowest bin cannot be promised
        kept += finite[i]
        if kept >= wanted > 0:
            return i + LOWEST
    return None


def required_scales(
    events: Iterable[Mapping[str, Any]], kinds: Sequence[str] = ("activation gradient", "weight gradient")
) -> list[dict[str, Any]]:
    """Return the table of required scales of a run: a row per kind and layer, and one for all layers together.

    Parameters
    ----------
    events : iterable of dict
        Events of a run without a loss scale and in binary32: those with a ``"histogram"`` count, a dict
        ``{layer: {kind: {bin: count}}}``. Bins may be numbers or, as in JSON, texts.
    kinds : sequence of str
        Kinds of tensor.

    Returns
    -------
    list of dict
        ``kind``, ``layer``, ``nonzero``, ``magnitude``, ``smallest_99`` and ``smallest_999`` (the scales that keep 99 %
        and 99.9 % of the nonzero gradients), ``largest``, and ``needs_none``: whether 99.9 % stay without a scale.

    Examples
    --------
    >>> from halfsim.training.accounting import required_scales
    >>> event = {"histogram": {"fc": {"weight gradient": {"41": 7}}}}  # bin 41 is 2**-20
    >>> [row["smallest_999"] for row in required_scales([event])]
    [0.03125, 0.03125]
    """
    sums: dict[tuple[str, str], list[int]] = {}
    for event in events:
        for layer, tensors in event.get("histogram", {}).items():
            for kind in kinds:
                for name, count in tensors.get(kind, {}).items():
                    for key in ((kind, layer), (kind, "all")):
                        sums.setdefault(key, [0] * BINS)[int(name)] += count
    order = {kind: i for i, kind in enumerate(kinds)}
    # Layers as they come, the sum of all last.
    keys = sorted(sums, key=lambda key: (order[key[0]], key[1] == "all"))
    return [{"kind": kind, "layer": layer, **_row(sums[kind, layer])} for kind, layer in keys]


def _row(counts: list[int]) -> dict[str, Any]:
    both = [required_scale(counts, share) for share in _SHARES]
    smallest = [row["smallest"] for row in both]
    return {
        "nonzero": both[0]["nonzero"],
        "magnitude": both[0]["magnitude"],
        "smallest_99": smallest[0],
        "smallest_999": smallest[1],
        "largest": both[0]["largest"],
        "needs_none": smallest[1] is not None and smallest[1] <= 1,
    }
