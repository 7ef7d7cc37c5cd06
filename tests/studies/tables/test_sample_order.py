from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from halfsim.studies.tables.accumulation import ACCUMULATORS
from halfsim.studies.tables.operands import Images
from halfsim.studies.tables.sample_order import KINDS, sample_order


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], dict[str, Any]]:
    return {(kind, row["accumulator"]): row for kind in KINDS for row in sample_order(kind, "digits")}


def test_every_accumulator_sums_both_kinds(rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert len(rows) == 2 * len(ACCUMULATORS)
    assert {row["K"] for row in rows.values()} == {1400}


def test_exact_sums_know_no_order(rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    for kind in KINDS:
        row = rows[kind, "binary16, exact"]
        assert row["spread"] == 0
        assert row["shuffled"] == pytest.approx(row["by_class"], rel=1e-12) and row["by_class"] == row["by_magnitude"]


def test_sorting_by_class_makes_partial_sums_large(rows: dict[tuple[str, str], dict[str, Any]]) -> None:
    sequential = rows["pixels × first gradient", "binary16"]
    assert sequential["by_class"] > 2 * sequential["shuffled"]
    assert sequential["spread"] > 10 * rows["pixels × first gradient", "binary16, pairwise"]["spread"]
    # Sixteenths times one rounded number: sums of 1,400 are exact in binary32.
    assert rows["pixels × pixels", "binary32"]["spread"] == 0


def test_sums_of_one_pixel_are_those_of_numpy() -> None:
    row = next(
        row
        for row in sample_order(dataset="digits", samples=300, side=1, shuffles=1)
        if row["accumulator"] == "binary16"
    )
    images = Images("digits", 300)
    bright = np.argsort(-images.pixels.sum(axis=0, dtype=np.float64), kind="stable")
    a, b = images.pixels[:, bright[0]].astype(np.float64), images.pixels[:, bright[32]].astype(np.float64)
    exact = (a * b).sum()
    for name, order in (
        ("by_class", np.argsort(images.labels, kind="stable")),
        ("by_magnitude", np.argsort(images.pixels.sum(axis=1, dtype=np.float64), kind="stable")),
    ):
        z = np.float16(0)
        for k in order:
            z = np.float16(a[k] * b[k] + np.float64(z))
        assert row[name] == pytest.approx(abs(float(z) - exact) / exact, rel=1e-12)


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="kind='pixels' is unknown"):
        sample_order("pixels")
