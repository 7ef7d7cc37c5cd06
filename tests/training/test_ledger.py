from __future__ import annotations

import numpy as np

from halfsim.training.ledger import Ledger


def test_lost_updates_of_a_hand_example() -> None:
    ledger = Ledger()
    ledger.update(np.float32([0, 1e-9, 0.5, -1e-9]), np.array([True, True, False, True]))
    ledger.update(np.float32([1, 0, 0, 0]), np.array([False, True, True, True]))
    assert ledger.shares()["updates_lost"] == 2 / 4
    assert ledger.as_dict()["updates"] == 4


def test_bins_are_unit_steps_of_log2() -> None:
    ledger = Ledger()
    values = np.float32([0, -0.0, 2**-61, 2**-60, 2**-59 * 0.999, 2**-24, 1, 1.999, -2, 2**16, 2**17, np.inf, np.nan])
    ledger.gradient("activation", values, values)
    bins = ledger.as_dict()["histograms"]["activation"]
    found = {i: n for i, n in enumerate(bins) if n}
    at = lambda exponent: exponent + 60 + 1  # noqa: E731
    assert found == {0: 2, at(-60): 3, at(-24): 1, at(0): 2, at(1): 1, at(16): 2, 78: 2}
    assert sum(bins) == values.size


def test_binary32_storage_flushes_nothing() -> None:
    ledger = Ledger()
    values = np.float32([1e-40, 1e-30, 0])
    ledger.gradient("weight", values, values)
    assert ledger.shares()["gradients_flushed"] == 0
    assert ledger.as_dict()["counts"]["weight"] == [2, 0, 0]


def test_gradients_are_sampled() -> None:
    ledger = Ledger(every=3)
    for step in range(7):
        ledger.begin(step)
        ledger.gradient("weight", np.ones(1, np.float32), np.ones(1, np.float16))
    assert ledger.as_dict()["counts"]["weight"][0] == 3


def test_an_empty_ledger_has_no_shares() -> None:
    assert set(Ledger().shares().values()) == {0.0}
