from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("scipy")

from scipy.stats import ttest_rel

from halfsim.studies import report
from halfsim.studies.report.grids import outcomes
from halfsim.studies.report.summary import estimate
from tests.studies.report import records

NUMBERS = st.floats(-1e6, 1e6)


def runs(losses: dict[str, list[float | None]], **more: Any) -> list[dict[str, Any]]:
    return [
        records.run("p", row, seed, {"loss": [9.0, loss]}, **more)
        for row, values in losses.items()
        for seed, loss in enumerate(values)
    ]


def test_three_values_by_hand() -> None:
    # Student's distribution of two degrees of freedom has a closed form: t(p) = (2p - 1) sqrt(2 / (4p(1 - p))).
    found = estimate([1.0, 2.0, 3.0])
    assert (found["n"], found["nan"], found["mean"], found["sd"]) == (3, 0, 2.0, 1.0)
    half = 0.95 * math.sqrt(2 / (4 * 0.975 * 0.025)) / math.sqrt(3)
    assert (found["low"], found["high"]) == pytest.approx((2 - half, 2 + half), rel=1e-12)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=8))
def test_paired_differences_are_those_of_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    made = runs({"base": [a for a, _ in pairs], "other": [b for _, b in pairs]})
    _, other = report.summarise(made, "p", ["base", "other"])
    found = other["measures"]["loss"]["difference"]
    gaps = [b - a for a, b in pairs]
    assert found["mean"] == pytest.approx(np.mean(gaps), rel=1e-9, abs=1e-9)
    assert found["sd"] == pytest.approx(np.std(gaps, ddof=1), rel=1e-6, abs=1e-6)
    if np.std(gaps) > 1e-3:
        with np.errstate(all="ignore"):
            theirs = ttest_rel([b for _, b in pairs], [a for a, _ in pairs]).confidence_interval(0.95)
        assert (found["low"], found["high"]) == pytest.approx((theirs.low, theirs.high), rel=1e-6, abs=1e-6)


def test_pairs_are_matched_by_seed_and_not_by_order() -> None:
    made = runs({"base": [1.0, 10.0], "other": [2.0, 12.0]})
    _, other = report.summarise([made[1], made[0], made[2], made[3]], "p", ["base", "other"])
    assert other["measures"]["loss"]["difference"]["mean"] == 1.5
    assert other["measures"]["loss"]["difference"]["sd"] == pytest.approx(0.5**0.5)


def test_a_seed_without_a_baseline_has_no_difference() -> None:
    made = runs({"base": [1.0], "other": [2.0, 100.0]})
    _, other = report.summarise(made, "p", ["base", "other"])
    assert other["measures"]["loss"]["n"] == 2
    assert other["measures"]["loss"]["difference"] == {
        "n": 1, "nan": 0, "mean": 1.0, "sd": None, "low": None, "high": None
    }  # fmt: skip


def test_equal_differences_have_an_interval_of_no_width() -> None:
    _, other = report.summarise(runs({"base": [1.0, 2.0], "other": [1.5, 2.5]}), "p", ["base", "other"])
    gap = other["measures"]["loss"]["difference"]
    assert (gap["low"], gap["mean"], gap["high"], gap["sd"]) == (0.5, 0.5, 0.5, 0.0)


@pytest.mark.parametrize("bad", [None, math.nan, math.inf])
def test_a_run_that_is_not_finite_is_counted_and_never_averaged(bad: float | None) -> None:
    made = runs({"base": [1.0, 1.0, 1.0], "other": [1.0, bad, 3.0]})
    base, other = report.summarise(made, "p", ["base", "other"])
    found = other["measures"]["loss"]
    assert (found["n"], found["nan"], found["mean"], found["sd"], found["low"]) == (3, 1, None, None, None)
    assert (found["difference"]["n"], found["difference"]["nan"], found["difference"]["mean"]) == (3, 1, None)
    assert other["books"]["not_finite"]["mean"] == pytest.approx(1 / 3)
    assert base["measures"]["loss"]["nan"] == 0


def test_a_baseline_that_is_not_finite_spoils_differences_and_nothing_else() -> None:
    _, other = report.summarise(runs({"base": [None, 1.0], "other": [1.0, 2.0]}), "p", ["base", "other"])
    assert other["measures"]["loss"]["mean"] == 1.5
    assert other["measures"]["loss"]["difference"]["mean"] is None


def test_a_measure_that_only_some_have_is_theirs_alone() -> None:
    made = [*runs({"base": [1.0]}), records.run("p", "other", 0, {"loss": [2.0], "accuracy": [0.5]})]
    base, other = report.summarise(made, "p", ["base", "other"])
    assert list(base["measures"]) == ["loss"]
    assert other["measures"]["accuracy"]["mean"] == 0.5
    assert other["measures"]["accuracy"]["difference"]["n"] == 0
    flat = report.rows(made)
    assert [row["accuracy"] for row in flat] == [None, 0.5]
    assert [row["not_finite"] for row in flat] == [0, 0]


def test_a_row_without_runs_is_empty() -> None:
    _, missing = report.summarise(runs({"base": [1.0]}), "p", ["base", "missing"])
    assert missing == {"variant": "missing", "seeds": 0, "measures": {}, "books": {}}


def test_rows_are_flat_and_final() -> None:
    run = records.run("p", "a", 7, {"loss": [3.0, 2.0]}, scale=[[0, 8.0], [5, 4.0]], skipped=[5, 6])
    (row,) = report.rows([run])
    assert (row["part"], row["variant"], row["seed"], row["loss"], row["final_scale"]) == ("p", "a", 7, 2.0, 4.0)
    assert (row["steps_skipped"], row["updates_lost"], row["swallowed"]) == (2, 0.25, 0.125)
    assert "lowest_exponent" not in row and "histograms" not in row
    assert row["weights_sha256"] == "ab" * 32


def test_the_training_loss_is_the_last_one_reported() -> None:
    made = [{**records.run("p", "a", seed, {"loss": [3.0, 2.0]}), "reported": found} for seed, found in (
        (0, [4.0, 1.5]), (1, [4.0, None]), (2, []))]  # fmt: skip
    flat = report.rows(made)
    assert flat[0]["training_loss"] == 1.5 and math.isnan(flat[1]["training_loss"])
    assert flat[2]["training_loss"] is None
    (first,) = report.summarise(made[:1], "p", ["a"])
    assert first["books"]["training_loss"]["mean"] == 1.5
    (none,) = report.summarise(made[2:], "p", ["a"])
    assert "training_loss" not in none["books"]


@given(st.lists(st.one_of(NUMBERS, st.just(math.nan)), max_size=6))
def test_an_interval_is_around_its_mean_or_nothing_is(values: list[float]) -> None:
    found = estimate(values)
    assert found["n"] == len(values)
    assert found["nan"] == sum(math.isnan(value) for value in values)
    assert (found["mean"] is None) == (found["nan"] > 0 or not values)
    if found["low"] is not None:
        assert found["low"] <= found["mean"] <= found["high"]


def star(*losses: list[float], measure: str = "accuracy") -> tuple[str, bool]:
    """The cell of the second row's difference to the first."""
    made = [
        records.run("p", row, seed, {measure: [value]})
        for row, values in zip(("base", "other"), losses, strict=True)
        for seed, value in enumerate(values)
    ]
    part = {"summary": report.summarise(made, "p", ["base", "other"])}
    cell = outcomes(part).rows[1][-1]
    return cell.text, cell.strong


def test_one_image_less_in_every_seed_is_not_significant() -> None:
    # The differences are equal but for the last bits of binary64.
    text, strong = star([300 / 397, 310 / 397, 305 / 397], [299 / 397, 309 / 397, 304 / 397])
    assert text.startswith("−0.3") and not strong


def test_a_star_never_stands_beside_an_interval_that_shows_zero() -> None:
    text, strong = star([0.8, 0.8, 0.8], [0.7990, 0.7991, 0.7992])
    assert strong
    low, high = (float(end.replace("−", "-")) for end in text.partition("[")[2].rstrip("]").split(", "))
    assert low < 0 and high < 0
    text, strong = star([1.0, 1.0], [1.0 - 1e-5, 1.0 - 1.1e-5], measure="loss")
    assert strong == ("0.000]" not in text.replace("−", "-"))
    assert star([0.8, 0.8, 0.8], [0.7, 0.8, 0.9])[1] is False
