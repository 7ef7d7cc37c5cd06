from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from halfsim.studies.report.events import SWALLOWED, maps_of
from tests.studies.report import records


def counts(**more: int) -> dict[str, int]:
    return {"elements": 10, "zero": 2, "flushed": 0, "subnormal": 0, "overflowed": 0, "nan": 0, **more}


def event(step: int, ledger: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"step": step, "ledger": ledger, **more}


def test_shares_are_of_what_is_not_zero_over_kinds_and_seeds(tmp_path: Path) -> None:
    one = event(
        5,
        {
            "fc1": {"activation gradient": counts(flushed=2), "weight gradient": counts(flushed=4, overflowed=1)},
            "fc2": {"update": {"lost": 8, "moves": 8}},
        },
        swallowed={"fc1": {"forward": [1, 4], "data_gradient": [2, 4]}},
    )
    other = event(5, {"fc1": {"activation gradient": counts(flushed=0), "weight gradient": counts(zero=10)}})
    later = event(9, {"fc2": {"update": {"lost": 2, "moves": 8}}})
    paths = [
        records.write_events(tmp_path, "a", [{"step": 0, "loss": 1.0}, one, later]),
        records.write_events(tmp_path, "b", [other]),
    ]
    maps = maps_of(paths)
    assert maps is not None
    assert (maps.layers, maps.steps) == (("fc1", "fc2"), (5, 9))
    nan = np.nan
    expected = {
        # Seed a: 2 of 8 and 4 of 8; seed b: 0 of 8 and 0 of 0.
        "gradients flushed": [[6 / 24, nan], [nan, nan]],
        "updates lost": [[nan, nan], [1.0, 0.25]],
        "overflowed": [[1 / 24, nan], [nan, nan]],
        "NaN": [[0.0, nan], [nan, nan]],
        SWALLOWED: [[3 / 8, nan], [nan, nan]],
    }
    assert list(maps.shares) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(maps.shares[name], array)


def test_a_line_cut_off_by_a_kill_does_not_count(tmp_path: Path) -> None:
    path = records.write_events(tmp_path, "a", [event(0, {"fc": {"update": {"lost": 4, "moves": 8}}})])
    with path.open("a") as file:
        file.write('{"step": 1, "ledger": {"fc": {"upd')
    maps = maps_of([path])
    assert maps is not None
    assert maps.steps == (0,)


@pytest.mark.parametrize(
    "line", [b'{"ledger" 1}', b'["ledger"]', b'{"step": 1, "not": "ledger"}'[:-1], b'\xff"ledger"', b'{"ledger": {}}']
)
def test_a_damaged_line_is_told_with_a_way_out(tmp_path: Path, line: bytes) -> None:
    path = records.write_events(tmp_path, "a", [{"step": 0, "loss": 1.0}])
    with path.open("ab") as file:
        file.write(line + b"\n")
    told = f"{path}: line 2 is damaged; delete the folder {path.parent} and run again"
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        maps_of([path])


def test_without_samples_there_is_no_map(tmp_path: Path) -> None:
    path = records.write_events(tmp_path, "a", [{"step": 0, "loss": 1.0}])
    assert maps_of([path, tmp_path / "missing"]) is None
