"""The folder of one run: its configuration, its events line by line, checkpoints, and at the end a summary.

Everything but the events and the journal is written whole or not at all. Of the events only those before the last state
that was kept count: what a kill left behind them is cut off, and the run writes the same bytes again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from halfsim.locks import lock
from halfsim.studies.cells import Cells
from halfsim.studies.journal import Journal
from halfsim.studies.store import event_of, load, naming, plain, save, write_atomically, write_whole
from halfsim.training.arithmetic import Array

__all__ = ["Events", "RunFolder"]

_BYTES, _DIGEST, _SECONDS = "events.bytes", "events.sha256", "seconds"
_SEAL = 64


class Events:
    """The open events of a run: lines of JSON, which nobody else writes meanwhile.

    Parameters
    ----------
    path : Path
        The file; it is made if missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        self._size, self._digest = 0, hashlib.sha256()
        try:
            lock(self._file)  # waits until no other process makes this run
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *details: object) -> None:
        os.close(self._file)

    def cut(self, size: int, digest: str) -> bool:
        """Keep the first `size` bytes alone and go on behind them; False, if they are not those of that digest."""
        os.lseek(self._file, 0, os.SEEK_SET)
        found = hashlib.sha256()
        left = size
        while left and (block := os.read(self._file, min(left, 1 << 20))):
            found.update(block)
            left -= len(block)
        if left or found.hexdigest() != digest:
            return False
        os.ftruncate(self._file, size)
        self._size, self._digest = size, found
        return True

    def clear(self) -> None:
        """Begin anew."""
        os.lseek(self._file, 0, os.SEEK_SET)
        os.ftruncate(self._file, 0)
        self._size, self._digest = 0, hashlib.sha256()

    def append(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Write lines; they are with the operating system when this returns."""
        content = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines).encode()
        with naming(self._path):
            write_whole(self._file, content)
        self._size += len(content)
        self._digest.update(content)

    def position(self) -> dict[str, Any]:
        """Return what `cut` takes."""
        return {_BYTES: self._size, _DIGEST: self._digest.hexdigest()}

    def synchronise(self) -> None:
        """Wait until everything is on the disk."""
        with naming(self._path):
            os.fsync(self._file)


class RunFolder:
    """Where a run is kept.

    Parameters
    ----------
    path : Path
        The folder, named by the identifier of the run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self) -> Events:
        """Open the events, waiting for whoever has them open."""
        return Events(self.path / "events.jsonl")

    def read_events(self) -> Iterator[dict[str, Any]]:
        """Yield the events; ValueError names a line that is none."""
        path = self.path / "events.jsonl"
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield event_of(path, number, line)

    def step(self) -> int:
        """Return the step of the last event, 0 before the first."""
        try:
            with (self.path / "events.jsonl").open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - (1 << 16), 0))
                begins = file.read().rpartition(b'{"step": ')[2]
        except OSError:
            return 0
        digits = begins[: len(begins) - len(begins.lstrip(b"0123456789"))]
        return int(digits) if digits else 0

    def describe(self, config: Mapping[str, Any]) -> None:
        """Write the resolved configuration; what is None is left out, as TOML has no word for it."""
        import tomli_w

        write_atomically(self.path / "config.toml", tomli_w.dumps(_without_none(config)))

    def summary(self) -> dict[str, Any] | None:
        """Return the summary of a finished run; None, if there is none or it is not as it was written."""
        found = load(self.path / "summary.json")
        if not isinstance(found, dict) or found.pop("digest", None) != _digest(found):
            return None
        return found if found.get("id") == self.path.name else None

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write the summary, with a digest of itself: from now on the run is finished."""
        body = plain({"id": self.path.name, **summary})
        save(self.path / "summary.json", {**body, "digest": _digest(body)})

    def journal(self) -> Journal:
        """Open the journal; whoever has the events open may."""
        return Journal(self.path)

    def cells(self) -> Cells:
        """Open the finished cells of a table; whoever has the events open may."""
        return Cells(self.path / "cells.json")

    def save_checkpoint(self, state: Mapping[str, Any], events: Events, seconds: float) -> None:
        """Write the state of a run, and how far its events and its clock were, so that it outlives the system."""
        events.synchronise()
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **_dated(state, events, seconds))
        write_atomically(self.path / "checkpoint.npz", _sealed(content.getvalue()))

    def note(self, state: Mapping[str, Any], events: Events, seconds: float, journal: Journal) -> None:
        """Write the same into the journal, at a fraction of the cost: it outlives the process."""
        journal.write(_dated(state, events, seconds))

    def last_state(self, events: Events, journal: Journal) -> tuple[dict[str, Array], float] | None:
        """Return state and seconds, the events cut to match; None, if there are none that are whole and fit them."""
        kept = [*journal.read(), *self._checkpoint()]
        for state in sorted(kept, key=lambda state: int(state["step"]), reverse=True):
            size, digest, seconds = (state.pop(name).item() for name in (_BYTES, _DIGEST, _SECONDS))
            if events.cut(size, digest):
                return state, seconds
        return None

    def _checkpoint(self) -> list[dict[str, Array]]:
        """Return what the checkpoint holds; nothing, if it is missing or not as it was written."""
        try:
            content = (self.path / "checkpoint.npz").read_bytes()
        except FileNotFoundError:
            return []
        if _sealed(content[: -_SEAL - 2] + b"\0\0") != content:
            return []
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return [{name: archive[name] for name in archive.files}]

    def save_histograms(self) -> None:
        """Write the histograms among the events as ``hist.parquet``: run, step, layer, kind, bin, count."""
        import pyarrow as pa
        from pyarrow import parquet

        rows = [
            (event["step"], layer, kind, int(number), count)
            for event in self.read_events()
            for layer, kinds in event.get("histogram", {}).items()
            for kind, bins in kinds.items()
            for number, count in bins.items()
        ]
        columns = list(zip(*rows, strict=True)) or [()] * 5
        types = (pa.int64(), pa.string(), pa.string(), pa.int16(), pa.int64())
        names = ("step", "layer", "kind", "bin", "count")
        arrays = {name: pa.array(column, t) for name, column, t in zip(names, columns, types, strict=True)}
        table = pa.table({"run": pa.array([self.path.name] * len(rows), pa.string()), **arrays})
        content = io.BytesIO()
        parquet.write_table(table, content, compression="zstd")
        write_atomically(self.path / "hist.parquet", content.getvalue())


def _dated(state: Mapping[str, Any], events: Events, seconds: float) -> dict[str, Any]:
    return {**state, **events.position(), _SECONDS: seconds}


def _sealed(archive: bytes) -> bytes:
    """Return a zip archive with its SHA-256 as its comment; the checksums within leave parts of it uncovered."""
    seal = hashlib.sha256(archive).hexdigest().encode()
    # The last two bytes of an archive are the length of its comment.
    return archive[:-2] + len(seal).to_bytes(2, "little") + seal


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    values = {key: _without_none(value) if isinstance(value, Mapping) else value for key, value in table.items()}
    return {key: value for key, value in values.items() if value is not None}


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
