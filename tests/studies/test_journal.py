"""The journal of a run: whatever tears a slot, the other one holds the step before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from halfsim.studies.folder import RunFolder
from halfsim.studies.journal import Journal


def state(step: int) -> dict[str, Any]:
    return {
        "step": step,
        "side 0:weights": np.arange(40 + 30 * step, dtype=np.float16).reshape(10, -1),
        "empty": np.zeros((0, 3), np.uint32),
        "ledger:first": '{"layer": "ä"}',
        "scale": 2.0**24,
        "transposed": np.arange(12.0).reshape(3, 4).T,
    }


def equal(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    arrays = {name: np.asarray(value) for name, value in wanted.items()}
    return found.keys() == wanted.keys() and all(
        found[name].dtype == array.dtype and np.array_equal(found[name], array) for name, array in arrays.items()
    )


def written(folder: Path, *steps: int) -> None:
    with Journal(folder) as journal:
        for step in steps:
            journal.write(state(step))


def found(folder: Path) -> list[dict[str, Any]]:
    with Journal(folder) as journal:
        return journal.read()


def test_the_last_two_states_come_back_newest_first(tmp_path: Path) -> None:
    assert found(tmp_path) == []
    for last in range(1, 6):
        folder = tmp_path / str(last)
        folder.mkdir()
        written(folder, *range(last))
        states = found(folder)
        assert [int(one["step"]) for one in states] == list(range(last))[::-1][:2]
        assert all(equal(one, state(int(one["step"]))) for one in states)


def test_a_shorter_state_over_a_longer_one(tmp_path: Path) -> None:
    written(tmp_path, 9, 8, 1)
    assert [int(one["step"]) for one in found(tmp_path)] == [1, 8]


def test_a_journal_goes_on_where_it_was(tmp_path: Path) -> None:
    written(tmp_path, 0, 1, 2)
    with Journal(tmp_path) as journal:
        journal.read()
        journal.write(state(3))
    assert [int(one["step"]) for one in found(tmp_path)] == [3, 2]


def test_a_slot_torn_anywhere_leaves_the_step_before(tmp_path: Path) -> None:
    written(tmp_path, 4, 5)
    slot = tmp_path / "journal.0"
    before = slot.read_bytes()
    with Journal(tmp_path) as journal:
        journal.read()
        journal.write(state(6))
    after = slot.read_bytes()
    for size in range(0, len(after), 7):
        slot.write_bytes(after[:size] + before[size:])
        first, *_ = found(tmp_path)
        assert equal(first, state(5)), size
    slot.write_bytes(after)
    assert equal(found(tmp_path)[0], state(6))


def test_a_flipped_bit_anywhere_is_seen(tmp_path: Path) -> None:
    written(tmp_path, 0, 1)
    slot = tmp_path / "journal.1"
    whole = slot.read_bytes()
    for place in range(len(whole)):
        slot.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        assert [int(one["step"]) for one in found(tmp_path)] == [0], place


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, content: Any) -> int:
        raise OSError(28, "No space left on device")

    written(tmp_path, 0)
    with Journal(tmp_path) as journal:
        journal.read()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(OSError, match=r"No space left on device: '.*journal\.1'"):
                journal.write(state(1))
    assert equal(found(tmp_path)[0], state(0))


def test_the_newest_state_that_fits_the_events_counts(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.events() as events, folder.journal() as journal:
        for step in range(6):
            events.append([{"step": step}])
            if step == 2:
                folder.save_checkpoint(state(step + 1), events, 1.0)
            else:
                folder.note(state(step + 1), events, 2.0, journal)
    lines = (folder.path / "events.jsonl").read_bytes().splitlines(keepends=True)
    for length, wanted in ((6, 6), (5, 5), (4, 3), (3, 3), (2, None)):
        (folder.path / "events.jsonl").write_bytes(b"".join(lines[:length]))
        with folder.events() as events, folder.journal() as journal:
            last = folder.last_state(events, journal)
        assert (last and int(last[0]["step"])) == wanted
        assert last is None or equal(last[0], state(int(last[0]["step"])))
