from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import halfsim as hs
from halfsim.accumulators import FP32
from halfsim.policy import named
from halfsim.studies import store


def test_rows_become_plain_objects_without_their_prose() -> None:
    plain = store.plain({"policy": named("mixed"), "tensor core": hs.tensorcores.row("h100", "f16")})
    assert plain["policy"]["row"] == "Policy"
    assert plain["policy"]["update"] == "master"
    assert plain["policy"]["forward"]["format"]["name"] == "binary32"
    assert plain["tensor core"]["terms"] == 16
    assert "evidence" not in plain["tensor core"]
    json.dumps(plain, allow_nan=False)


def test_numbers_that_json_lacks_become_none() -> None:
    assert store.plain([math.nan, math.inf, 1.5, (2, "x")]) == [None, None, 1.5, [2, "x"]]


def test_the_name_of_a_run_depends_on_every_field_and_not_on_their_order() -> None:
    assert store.run_id({"a": 1, "b": FP32}) == store.run_id({"b": FP32, "a": 1})
    assert store.run_id({"a": 1}) != store.run_id({"a": 2})
    assert len(store.run_id({})) == 16


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    store.save(path, {"a": 1})
    with pytest.raises(TypeError):
        store.save(path, {"a": object()})
    with pytest.raises(UnicodeEncodeError):
        store.write_atomically(path, "\ud800")
    assert store.load(path) == {"a": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["results.json"]


def test_a_missing_or_damaged_file_is_none(tmp_path: Path) -> None:
    assert store.load(tmp_path / "none.json") is None
    (tmp_path / "half.json").write_text('{"a": ')
    assert store.load(tmp_path / "half.json") is None


def test_tables_are_csv(tmp_path: Path) -> None:
    store.save_table(tmp_path / "t.csv", [{"policy": "a, b", "loss": 1.5}, {"policy": "c", "loss": float("nan")}])
    assert (tmp_path / "t.csv").read_text() == 'policy,loss\n"a, b",1.5\nc,\n'


def test_numpy_floats_are_numbers() -> None:
    assert store.plain(np.float64(0.5)) == 0.5
