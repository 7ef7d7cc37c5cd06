"""Required scales over several seeds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("tomli_w")
pytest.importorskip("pyarrow")

from halfsim.studies.tables import scales


def row(smallest: float | None, largest: float | None, layer: str = "all") -> dict[str, Any]:
    """What a run gives for a layer."""
    return {
        "kind": "weight gradient", "layer": layer, "nonzero": 10, "magnitude": 0.5, "smallest_99": 1.0,
        "smallest_999": smallest, "largest": largest, "needs_none": smallest is not None and smallest <= 1,
    }  # fmt: skip


def found(monkeypatch: pytest.MonkeyPatch, *seeds: dict[str, Any]) -> dict[str, Any]:
    monkeypatch.setattr(scales, "_scales", lambda name, steps, seed, runs: (seeds[seed], row(1.0, 2.0, "fc")))
    (one,) = scales.networks(["perceptron"], steps=5, seeds=len(seeds))
    return one


def test_a_scale_must_do_for_every_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    one = found(monkeypatch, row(1.0, 64.0), row(8.0, 16.0), row(2.0, 256.0))
    assert (one["nonzero"], one["smallest_999"], one["largest"], one["needs_none"]) == (30, 8.0, 16.0, False)
    assert (one["least_room"], one["most_room"]) == (1, 7)


def test_room_is_negative_where_no_scale_does(monkeypatch: pytest.MonkeyPatch) -> None:
    one = found(monkeypatch, row(2.0**22, 2.0**18), row(2.0**20, 2.0**18))
    assert (one["least_room"], one["most_room"]) == (-4, -2)


def test_what_one_seed_does_not_know_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    one = found(monkeypatch, row(1.0, 64.0), row(None, 16.0))
    assert (one["smallest_999"], one["largest"], one["least_room"], one["most_room"]) == (None, 16.0, None, None)


def test_tables_of_the_same_runs_make_them_once(tmp_path: Path) -> None:
    networks = scales.networks(["perceptron"], steps=5, runs=tmp_path)
    (run,) = tmp_path.iterdir()
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    scales._scales.cache_clear()
    layers = scales.layers(["perceptron"], steps=5, runs=tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before
    assert networks == scales.networks(["perceptron"], steps=5)
    assert layers == scales.layers(["perceptron"], steps=5)


def test_seeds_are_runs_of_their_own() -> None:
    (first, *_), (both, *_) = (scales.networks(["perceptron"], steps=5, seeds=seeds) for seeds in (1, 2))
    assert both["nonzero"] > first["nonzero"]
    assert both["least_room"] <= first["least_room"] == math.log2(first["largest"] / first["smallest_999"])
