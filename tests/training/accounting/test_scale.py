"""Scales read off a histogram, beside brute force: scale every gradient, let NumPy store it, and look."""

from __future__ import annotations

import math

import numpy as np
import pytest

from halfsim.kernels.census import BINS, LOWEST
from halfsim.training.accounting.scale import required_scale, required_scales


def histogram(values: np.ndarray) -> list[int]:
    """Return the bins as their definition has them, number by number."""
    counts = [0] * BINS
    for value in values.tolist():
        if value == 0:
            counts[0] += 1
        elif not math.isfinite(value):
            counts[-1] += 1
        else:
            counts[1 + min(max(math.frexp(value)[1] - 1, LOWEST), 16) - LOWEST] += 1
    return counts


def stored(values: np.ndarray, exponent: int) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(values, exponent).astype(np.float16)


def brute_force(values: np.ndarray, share: float) -> tuple[float | None, float]:
    """Return the smallest scale that keeps the share of nonzero values, and the largest without an infinity."""
    nonzero = np.count_nonzero(values)
    kept = [e for e in range(-70, 70) if np.count_nonzero(stored(values, e)) >= share * nonzero]
    finite = [e for e in range(-70, 70) if np.isfinite(stored(values, e)).all()]
    return (2.0 ** kept[0] if kept else None), 2.0 ** finite[-1]


@pytest.mark.parametrize("share", [0.5, 0.99, 0.999, 1.0])
@pytest.mark.parametrize("seed", range(12))
def test_scales_are_those_of_brute_force(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    spread = random.uniform(0.5, 5)
    values = random.normal(size=3000) * 2.0 ** random.normal(random.uniform(-28, 2), spread, 3000)
    values[random.random(3000) < 0.3] = 0
    assert np.abs(values[values != 0]).min() > 2.0**LOWEST and np.abs(values).max() < 2**16
    found = required_scale(histogram(values), share)
    assert (found["smallest"], found["largest"]) == brute_force(values, share)
    assert found["magnitude"] <= np.abs(values).max() < 2 * found["magnitude"]
    assert found["nonzero"] == np.count_nonzero(values)


def test_what_a_unit_bin_cannot_see() -> None:
    tie = np.array([2.0**-25])
    assert required_scale(histogram(tie))["smallest"] == 1
    assert stored(tie, 0)[0] == 0  # half of the smallest subnormal, to even
    assert stored(tie * (1 + 2.0**-52), 0)[0] > 0
    sliver = np.array([65519.999, 65520.0])
    assert required_scale(histogram(sliver))["largest"] == 1
    assert np.isinf(stored(sliver, 0)).tolist() == [False, True]


def test_the_open_bins_hide_the_answer() -> None:
    tiny = required_scale(histogram(np.full(100, 2.0**-70)))
    assert tiny == {"nonzero": 100, "magnitude": None, "smallest": None, "largest": None}
    few_tiny = required_scale(histogram(np.array([2.0**-70] + 999 * [1.0])))
    assert few_tiny["smallest"] == 2.0**-25
    assert required_scale(histogram(np.array([2.0**-70] + 998 * [1.0])))["smallest"] is None
    huge = required_scale(histogram(np.array([2.0**20, 1.0])))
    assert huge["magnitude"] is None and huge["largest"] is None and huge["smallest"] == 2.0**-25


def test_nothing_but_zeros_and_infinities_has_no_scale() -> None:
    found = required_scale(histogram(np.array([0.0, np.inf, np.nan])))
    assert found == {"nonzero": 0, "magnitude": None, "smallest": None, "largest": None}


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="counts has 3 bins"):
        required_scale([1, 2, 3])
    with pytest.raises(ValueError, match="share=0"):
        required_scale([0] * BINS, 0)


def test_the_table_adds_steps_and_layers() -> None:
    def at(exponent: int) -> str:
        return str(1 + exponent - LOWEST)

    events = [
        {"step": 0, "loss": 1.0},
        {"histogram": {"conv1": {"weight gradient": {"0": 5, at(-10): 1}}, "fc": {"weight gradient": {at(-30): 1}}}},
        {"histogram": {"conv1": {"weight gradient": {at(-12): 1}, "weight": {at(0): 9}}}},
    ]
    rows = required_scales(events)
    assert [(row["kind"], row["layer"]) for row in rows] == [
        ("weight gradient", "conv1"),
        ("weight gradient", "fc"),
        ("weight gradient", "all"),
    ]
    conv1, fc, both = rows
    assert (conv1["nonzero"], conv1["smallest_999"], conv1["largest"], conv1["needs_none"]) == (
        2,
        2**-13,
        2**25,
        True,
    )
    assert (fc["nonzero"], fc["smallest_999"], fc["largest"], fc["needs_none"]) == (1, 32, 2**45, False)
    assert (both["nonzero"], both["smallest_99"], both["largest"]) == (3, 32, 2**25)


def test_activation_gradients_come_first() -> None:
    tensors = {"weight gradient": {"40": 1}, "activation gradient": {"41": 1}}
    rows = required_scales([{"histogram": {"fc": tensors}}])
    assert [row["kind"] for row in rows] == 2 * ["activation gradient"] + 2 * ["weight gradient"]
