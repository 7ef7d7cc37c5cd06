"""The folder of a run: what a kill, a full disk or a damaged file leaves, and what it is worth."""

from __future__ import annotations

import errno
import os
import re
import threading
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from halfsim.studies.folder import Events, RunFolder

LINES = [{"step": i, "loss": i / 7, "why": ""} for i in range(5)]
STATE = {"weights:stored": np.arange(300, dtype=np.float16), "step": 3, "record": np.frombuffer(b"{}", np.uint8)}


def resumed(folder: RunFolder, events: Events) -> tuple[dict[str, Any], float] | None:
    with folder.journal() as journal:
        return folder.last_state(events, journal)


def written(folder: RunFolder) -> bytes:
    return (folder.path / "events.jsonl").read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "0123456789abcdef")


@pytest.fixture
def stopped(folder: RunFolder) -> RunFolder:
    """A run killed in its fifth step, with a checkpoint after the third."""
    with folder.events() as events:
        events.append(LINES[:3])
        folder.save_checkpoint(STATE, events, 1.5)
        events.append(LINES[3:])
        os.write(events._file, b'{"step": 5, "lo')
    return folder


def test_events_behind_the_checkpoint_are_cut_off_and_written_again(stopped: RunFolder) -> None:
    with stopped.events() as events:
        found = resumed(stopped, events)
        assert found is not None
        state, seconds = found
        assert seconds == 1.5
        assert state.keys() == STATE.keys()
        assert all(np.array_equal(state[name], STATE[name]) for name in STATE)
        assert state["weights:stored"].dtype == np.float16
        assert [event["step"] for event in stopped.read_events()] == [0, 1, 2]
        events.append(LINES[3:])
    assert list(stopped.read_events()) == LINES


@pytest.mark.parametrize("change", [b"", b"x", b'{"step": 0, "loss": 0.5, "why": ""}\n' * 9])
def test_a_checkpoint_without_its_events_does_not_count(stopped: RunFolder, change: bytes) -> None:
    (stopped.path / "events.jsonl").write_bytes(change)
    with stopped.events() as events:
        assert resumed(stopped, events) is None
        events.clear()
        events.append(LINES[:1])
    assert list(stopped.read_events()) == LINES[:1]


def test_no_checkpoint_is_none(folder: RunFolder) -> None:
    with folder.events() as events:
        assert resumed(folder, events) is None


def test_a_truncated_checkpoint_does_not_count(stopped: RunFolder) -> None:
    path = stopped.path / "checkpoint.npz"
    whole = path.read_bytes()
    with stopped.events() as events:
        for size in [*range(0, len(whole), 37), len(whole) - 1]:
            path.write_bytes(whole[:size])
            assert resumed(stopped, events) is None, size
        path.write_bytes(whole)
        assert resumed(stopped, events) is not None


def test_a_checkpoint_with_a_flipped_bit_does_not_count(stopped: RunFolder) -> None:
    path = stopped.path / "checkpoint.npz"
    whole = path.read_bytes()
    with stopped.events() as events:
        for place in range(0, len(whole), 5):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
            assert resumed(stopped, events) is None, place
        path.write_bytes(whole)
        assert resumed(stopped, events) is not None
    with np.load(path) as archive:
        assert np.array_equal(archive["weights:stored"], STATE["weights:stored"]), "it is an archive for others, too"


def test_a_summary_is_whole_or_not_there(folder: RunFolder) -> None:
    assert folder.summary() is None
    folder.finish({"measures": {"loss": [1.25, float("nan")]}, "weights_sha256": "ab"})
    assert folder.summary() == {
        "id": folder.path.name,
        "measures": {"loss": [1.25, None]},
        "weights_sha256": "ab",
    }
    path = folder.path / "summary.json"
    whole = path.read_text()
    for damaged in ("", whole[:-3], whole.replace("1.25", "1.5"), whole.replace("ab", "aB"), "[]", "null", "\0" * 9):
        path.write_text(damaged)
        assert folder.summary() is None, damaged
    path.write_text(whole)
    assert folder.summary() is not None
    moved = folder.path.rename(folder.path.with_name("fedcba9876543210"))
    assert RunFolder(moved).summary() is None, "the summary of another run"


def test_a_configuration_is_toml(folder: RunFolder) -> None:
    config: dict[str, Any] = {"seed": 1, "model": {"sizes": [64, 10], "head": 0.1}, "policy": {"update": "kahan"}}
    folder.describe({**config, "clip_norm": None, "policy": {**config["policy"], "seed": None}})
    assert tomllib.loads((folder.path / "config.toml").read_text()) == config


def test_a_damaged_event_is_told_with_a_way_out(folder: RunFolder) -> None:
    with folder.events() as events:
        events.append([{"step": 0, "loss": 0.5}])
    path = folder.path / "events.jsonl"
    with path.open("ab") as file:
        file.write(b"\xff{\n")
    told = f"{path}: line 2 is damaged; delete the folder {folder.path} and run again"
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        list(folder.read_events())


def test_the_step_of_a_run_is_that_of_its_last_event(folder: RunFolder) -> None:
    assert folder.step() == 0
    with folder.events() as events:
        assert folder.step() == 0
        for i in (0, 7, 12345):
            events.append([{"step": i, "loss": 0.5}, {"step": i, "histogram": {"a": {str(n): n for n in range(900)}}}])
            assert folder.step() == i


def test_a_full_disk_is_named_and_loses_nothing(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    room = 100

    def write(file: int, content: Any) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        size = real(file, bytes(content)[:room])
        room -= size
        return size

    with folder.events() as events:
        folder.save_checkpoint(STATE, events, 0.0)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", write)
            with pytest.raises(OSError, match="No space left") as raised:
                events.append(LINES)
        assert raised.value.filename == str(folder.path / "events.jsonl")
    assert len(written(folder)) == 100, "a line is cut"
    with folder.events() as events:
        assert resumed(folder, events) is not None
        events.append(LINES)
    assert list(folder.read_events()) == LINES


def test_a_failed_checkpoint_leaves_the_one_before(stopped: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = (stopped.path / "checkpoint.npz").read_bytes()
    with stopped.events() as events:
        resumed(stopped, events)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space left") as raised:
                stopped.save_checkpoint({**STATE, "step": 4}, events, 2.0)
        assert raised.value.filename
    assert (stopped.path / "checkpoint.npz").read_bytes() == before
    assert {path.name for path in stopped.path.iterdir()} == {"events.jsonl", "checkpoint.npz"}


def test_two_writers_of_one_run_take_turns(folder: RunFolder) -> None:
    pytest.importorskip("fcntl")
    order = []

    def second() -> None:
        with folder.events():
            order.append("second")

    with folder.events():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive(), "it did not wait"
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_histograms_become_a_table(folder: RunFolder) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with folder.events() as events:
        events.append([{"step": 0, "histogram": {"fc1": {"weight": {"0": 3, "61": 4}}}}, {"step": 1, "loss": 1.0}])
        events.append([{"step": 2, "histogram": {"fc2": {"update": {"78": 1}}}}])
    folder.save_histograms()
    rows = parquet.read_table(folder.path / "hist.parquet").to_pylist()
    head = ("run", "step", "layer", "kind", "bin", "count")
    name = folder.path.name
    wanted = [(name, 0, "fc1", "weight", 0, 3), (name, 0, "fc1", "weight", 61, 4), (name, 2, "fc2", "update", 78, 1)]
    assert rows == [dict(zip(head, row, strict=True)) for row in wanted]


def test_a_run_without_samples_has_an_empty_table(folder: RunFolder) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with folder.events() as events:
        events.append(LINES)
    folder.save_histograms()
    assert parquet.read_table(folder.path / "hist.parquet").num_rows == 0


def test_events_are_lines_with_the_system_at_once(tmp_path: Path) -> None:
    with Events(tmp_path / "new" / "events.jsonl") as events:
        events.append(LINES[:1])
        assert (tmp_path / "new" / "events.jsonl").read_text() == '{"step": 0, "loss": 0.0, "why": ""}\n'
        with pytest.raises(ValueError, match="Out of range"):
            events.append([{"step": 1, "loss": float("nan")}])
