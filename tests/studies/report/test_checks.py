from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("scipy")

from halfsim.studies import report
from halfsim.studies.report.grids import checks, tally
from tests.studies.report import records
from tests.studies.report.records import check

RUNS = [
    records.run("p", row, seed, {"loss": [loss + seed], "accuracy": [accuracy]})
    for row, loss, accuracy in (("base", 2.0, 0.8), ("other", 8.0, None), ("third", 2.0, 0.5))
    for seed in (0, 1)
]
PARTS: list[dict[str, Any]] = [
    {"name": "p", "summary": report.summarise(RUNS, "p", ["base", "other", "third"])},
    {
        "name": "t",
        "columns": ["accumulator", "K", "error"],
        "rows": [
            {"accumulator": "fp16", "K": 64, "error": 0.1},
            {"accumulator": "fp16", "K": 128, "error": None},
            {"accumulator": "fp32", "K": 64, "error": 0.0},
        ],
    },
]


def found(**fields: Any) -> tuple[float | None, bool]:
    (result,) = report.evaluate(
        [check(**{"part": "p", "measure": "loss", "low": -math.inf, "high": math.inf, **fields})], PARTS
    )
    return result["found"], result["passed"]


def test_the_mean_over_seeds_must_be_in_range() -> None:
    assert found(row="base", low=2.5, high=2.5) == (2.5, True)
    assert found(row="base", low=2.6, high=3) == (2.5, False)
    assert found(row="base", low=0, high=2.4) == (2.5, False)


def test_differences_and_ratios_are_to_another_row() -> None:
    assert found(row="other", against="base") == (6.0, True)
    assert found(row="other", against="base", relative=True) == (8.5 / 2.5, True)


def test_the_ledger_can_be_checked() -> None:
    assert found(row="base", measure="updates_lost") == (0.25, True)
    assert found(row="other", measure="not_finite", low=1, high=1) == (1.0, True)


@pytest.mark.parametrize(
    "fields",
    [
        {"row": "nobody"},
        {"row": "base", "measure": "nothing"},
        {"row": "base", "part": "nowhere"},
        {"row": "other", "measure": "accuracy"},
        {"row": "base", "against": "nobody"},
        {"row": "base", "measure": "accuracy", "against": "other"},
        {"part": "t", "row": "fp16", "measure": "error"},
        {"part": "t", "row": {"accumulator": "fp16", "K": 128}, "measure": "error"},
        {"part": "t", "row": {"accumulator": "fp16", "K": 64}, "measure": "error", "against": "fp32", "relative": True},
    ],
    ids=str,
)
def test_what_is_not_there_not_finite_or_not_unique_fails(fields: dict[str, Any]) -> None:
    assert found(**fields) == (None, False)


def test_a_cell_of_a_table_is_named_by_its_columns() -> None:
    row = {"accumulator": "fp16", "K": 64}
    assert found(part="t", row=row, measure="error") == (0.1, True)
    assert found(part="t", row="fp32", measure="error") == (0.0, True)
    assert found(part="t", row=row, measure="error", against="fp32") == (0.1, True)


def test_a_result_names_what_was_expected() -> None:
    (result,) = report.evaluate([check(name="n", part="p", row="base", measure="loss", low=1, high=3)], PARTS)
    assert result == {
        "name": "n", "part": "p", "row": "base", "measure": "loss", "low": 1, "high": 3, "against": None,
        "relative": False, "data": "", "found": 2.5, "passed": True,
    }  # fmt: skip


def test_a_check_for_other_data_is_not_made() -> None:
    parts = [{**PARTS[0], "data": ["digits, enlarged"]}]
    one = check(part="p", row="base", measure="loss", low=9, high=10, data="fashion-mnist")
    (left,) = report.evaluate([one], parts)
    assert (left["found"], left["passed"]) == (2.5, None)
    (made,) = report.evaluate([one], [{**PARTS[0], "data": ["fashion-mnist"]}])
    assert made["passed"] is False
    assert [cell.text for cell in checks([left]).rows[0]][-1] == "checked with fashion-mnist only"
    assert tally([left, {**made, "passed": True}]) == "1 of 1 met, 1 not checked with these data"


def test_rows_of_tables_are_named_by_their_words_and_numbers() -> None:
    row = {"optimizer": "Adam", "rate": 1e-05}
    (made,) = report.evaluate(
        [check(part="t", row=row, against={**row, "rate": 3e-05}, measure="x", low=0, high=1)], []
    )
    assert checks([made]).rows[0][1].text == "x of Adam, rate 1e-05 − Adam, rate 3e-05"
