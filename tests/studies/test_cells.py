"""The cells of computed tables: kept one by one, whole or not at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from halfsim.studies.cells import Cells
from halfsim.studies.folder import RunFolder
from halfsim.studies.grid import Table, TableJob

ROOT = Path(__file__).resolve().parents[2]

TABLES = {
    "accumulation:error_against_k": {"dataset": "digits", "lengths": [64, 128], "side": 2},
    "accumulation:stochastic_bits": {"dataset": "digits", "bits": [1, 2, 3, 4, 5], "length": 256, "side": 2},
    "batch_norm_sums:batch_norm_sums": {"count": 64, "channels": 2},
    "sample_order:sample_order": {"dataset": "digits", "samples": 64, "side": 2, "shuffles": 2},
    "disagreement:disagreement": {
        "units": ["v100:f16", "a100:f16", "h100:f16", "h100:f32"], "dataset": "digits", "side": 4,
    },
    "own_memory:own_models": {"dataset": "digits", "batches": [2]},
}  # fmt: skip

KILLED = """
import os, signal, sys
from pathlib import Path
from halfsim.studies.cells import Cells
from tests.studies.test_cells import job
before, computed = Cells.__call__, []
def call(cells, key, compute):
    def counted():
        computed.append(key)
        if len(computed) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return compute()
    return before(cells, key, counted)
Cells.__call__ = call
job(sys.argv[1]).perform(Path(sys.argv[2]))
"""


def job(name: str) -> TableJob:
    return TableJob(
        table=Table(name="t", title="T", claim="", function=f"halfsim.studies.tables.{name}", arguments=TABLES[name])
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("name", TABLES)
def test_a_killed_table_goes_on_with_the_cell_in_hand(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = [sys.executable, "-W", "ignore", "-c", KILLED, name, str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}, check=False)
    assert done.returncode == -signal.SIGKILL
    mine = job(name)
    kept = tmp_path / mine.id / "cells.json"
    first = list(json.loads(kept.read_text())["cells"])
    assert len(first) == 3
    computed: list[str] = []
    before = Cells.__call__

    def counted(cells: Cells, key: str, compute: Any) -> Any:
        def call() -> Any:
            computed.append(key)
            return compute()

        return before(cells, key, call)

    monkeypatch.setattr(Cells, "__call__", counted)
    mine.perform(tmp_path)
    assert computed and not set(computed) & set(first), "a finished cell was computed again"
    resumed = RunFolder(tmp_path / mine.id).summary()
    assert resumed is not None and not kept.exists()
    mine.perform(tmp_path / "undisturbed")
    whole = RunFolder(tmp_path / "undisturbed" / mine.id).summary()
    assert whole is not None
    assert json.dumps(resumed["rows"]) == json.dumps(whole["rows"])
    # Without cells the values are the same.
    assert json.dumps(mine.table.call(tmp_path)) == json.dumps(whole["rows"])


def test_cells_that_are_not_as_they_were_written_count_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cells.json"
    assert Cells(path)("a", lambda: [1.5, float("inf")]) == [1.5, float("inf")]
    assert Cells(path)("a", lambda: 2) == [1.5, float("inf")]
    for damage in (path.read_text().replace("1.5", "2.5"), path.read_text()[:-9], "[]", '{"digest": "", "cells": 3}'):
        path.write_text(damage)
        assert Cells(path)("a", lambda: 3) == 3
    Cells(path).remove()
    assert not path.exists()
    Cells(path).remove()
